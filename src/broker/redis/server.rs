//! Servers of Redis: where they are, and how connections to them are opened.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisError, RedisResult, Value, from_redis_value,
};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Duration;

/// A server that channels are at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The first that answers of those the user has named.
    Named,
    /// A server of a cluster, by its host and port.
    At(Arc<str>, u16),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("the server"),
            Self::At(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// The servers that the user has named, and how others of their cluster are connected to.
pub(super) struct Servers {
    named: Vec<ConnectionInfo>,
    config: AsyncConnectionConfig,
}

impl Servers {
    /// Takes URLs separated by commas, and how long an answer may take.
    pub(super) fn new(urls: &str, patience: Duration) -> RedisResult<Self> {
        let named = split(urls).into_iter().map(|url| info(&url));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTED))
            .set_response_timeout(Some(patience));
        Ok(Self {
            named: named.collect::<RedisResult<_>>()?,
            config,
        })
    }

    /// How connections are made, but for who hears what is pushed.
    pub(super) fn config(&self) -> AsyncConnectionConfig {
        self.config.clone()
    }

    /// Opens a connection.
    pub(super) async fn open(
        &self,
        node: &Node,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        match node {
            Node::Named => Ok(self.open_any(config).await?.0),
            Node::At(host, port) => open(self.info_at(host, *port)?, config).await,
        }
    }

    /// Opens a connection to the first named server that takes it; returns its host, too.
    pub(super) async fn open_any(
        &self,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<(MultiplexedConnection, Arc<str>)> {
        let mut failed = nobody();
        for info in &self.named {
            match open(info.clone(), config).await {
                Ok(connection) => return Ok((connection, host(info.addr()))),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Where a server is.
    pub(super) fn host(&self, node: &Node) -> Arc<str> {
        match (node, self.named.first()) {
            (Node::At(host, _), _) => Arc::clone(host),
            (Node::Named, Some(info)) => host(info.addr()),
            (Node::Named, None) => host(&ConnectionAddr::Unix(PathBuf::new())),
        }
    }

    /// A server of the cluster, with the user, the password and the TLS of the first one named.
    fn info_at(&self, host: &str, port: u16) -> RedisResult<ConnectionInfo> {
        let first = self.named.first().ok_or_else(nobody)?;
        let addr = match first.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        Ok(first.clone().set_addr(addr))
    }
}

async fn open(
    info: ConnectionInfo,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(info)?;
    client
        .get_multiplexed_async_connection_with_config(config)
        .await
}

fn nobody() -> RedisError {
    (ErrorKind::InvalidClientConfig, "no server is named").into()
}

fn info(url: &str) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone();
    // The only protocol whose messages come by a callback, and need no queue without bounds.
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings))
}

fn host(addr: &ConnectionAddr) -> Arc<str> {
    match addr {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str().into(),
        _ => "localhost".into(),
    }
}

/// Splits at commas that another URL follows; a password may have some of its own.
fn split(urls: &str) -> Vec<String> {
    let mut split: Vec<String> = Vec::new();
    for part in urls.split(',') {
        match split.last_mut() {
            Some(last) if !part.contains("://") => {
                last.push(',');
                last.push_str(part);
            }
            _ => split.push(part.trim().to_owned()),
        }
    }
    split
}

/// What a server says of itself.
pub(super) struct Greeting {
    pub(super) is_cluster: bool,
    pub(super) version: String,
}

impl Greeting {
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let answer: Value = redis::cmd("HELLO").query_async(connection).await?;
        let fields: HashMap<String, Value> = from_redis_value(answer)?;
        let text = |name: &str| {
            let value = fields.get(name).cloned().unwrap_or(Value::Nil);
            from_redis_value::<Option<String>>(value)
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        Ok(Self {
            is_cluster: text("mode") == "cluster",
            version: text("version"),
        })
    }

    /// Since Redis 7.
    pub(super) fn has_shard_channels(&self) -> bool {
        let major = self.version.split('.').next().unwrap_or_default();
        major.parse().is_ok_and(|major: u32| major >= 7)
    }
}

/// How long a connection may take to be made.
const CONNECTED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_separated_by_commas() {
        for (urls, expected) in [
            ("redis://a", &["redis://a"][..]),
            ("redis://a:1, redis://b", &["redis://a:1", "redis://b"]),
            (
                "redis://:p,w@a,redis+unix:///b,c",
                &["redis://:p,w@a", "redis+unix:///b,c"],
            ),
        ] {
            assert_eq!(split(urls), expected);
        }
    }

    #[test]
    fn shard_channels_are_there_since_redis_7() {
        for (version, expected) in [
            ("6.2.14", false),
            ("7.0.15", true),
            ("8.1.0", true),
            ("", false),
        ] {
            let greeting = Greeting {
                is_cluster: true,
                version: version.to_owned(),
            };
            assert_eq!(greeting.has_shard_channels(), expected, "{version}");
        }
    }

    #[test]
    fn other_servers_of_a_cluster_have_the_same_password() {
        let servers = Servers::new("redis://me:s3cret@a:1", Duration::from_secs(1)).unwrap();
        let info = servers.info_at("b", 2).unwrap();
        assert_eq!(info.addr(), &ConnectionAddr::Tcp("b".to_owned(), 2));
        assert_eq!(info.redis_settings().password(), Some("s3cret"));
        assert_eq!(info.redis_settings().username(), Some("me"));
    }
}
