//! Through which proxy a client connects.
//!
//! Which one it is depends on the URL, where the environment says so; the decision is a pure
//! function of what was read when the option was set.

mod exceptions;
mod server;
mod variables;

pub use server::{ProxyScheme, ProxyServer};

use std::fmt;

use super::OptionsError;
use exceptions::Exceptions;
use variables::Variables;

/// Through which proxy a client connects: none, one, or what the environment says.
///
/// A proxy is a URL `scheme://user:password@host:port`, of which only scheme and host are needed;
/// user and password are percent-decoded.
///
/// | scheme | speaks | default port |
/// |---|---|---|
/// | `http` | CONNECT (RFC 9110 §9.3.6), also for `ws://`, with Basic authentication (RFC 7617) | 80 |
/// | `https` | the same over TLS; needs the feature `rustls` | 443 |
/// | `socks5` | SOCKS5 (RFC 1928, RFC 1929); names are resolved here | 1080 |
/// | `socks5h` | SOCKS5; the proxy resolves names | 1080 |
/// | `socks4` | SOCKS4 with a user but no password; names are resolved here, IPv4 only | 1080 |
/// | `socks4a` | SOCKS4; the proxy resolves names | 1080 |
///
/// User and password appear in no error, log or `Debug`.
///
/// ```
/// use motorway::{ClientOptions, Proxy};
///
/// let proxy = Proxy::new("socks5h://ada:s%40cret@127.0.0.1:1080")?.except(["localhost", ".internal"]);
/// assert_eq!(format!("{proxy:?}"), r#"Proxy("socks5h://127.0.0.1:1080")"#);
/// assert!(proxy.server("wss", "build.internal", 443).is_none());
/// let options = ClientOptions::default().proxy(proxy);
///
/// let error = ClientOptions::default().proxy("ftp://ada:s%40cret@proxy").validate().unwrap_err();
/// assert!(error.to_string().starts_with(r#"option proxy is "ftp://…@proxy", but must be "#));
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    choice: Choice,
    except: Exceptions,
}

#[derive(Clone, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    None,
    One(Box<ProxyServer>),
    Variables(Box<Variables>),
}

impl Proxy {
    /// Connects to servers themselves.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Connects through the proxy of this URL.
    ///
    /// # Errors
    ///
    /// Fails if the URL is not one of a proxy; the error has it without user and password.
    pub fn new(url: impl AsRef<str>) -> Result<Self, OptionsError> {
        let server = ProxyServer::parse("proxy", url.as_ref())?;
        Ok(Self {
            choice: Choice::One(Box::new(server)),
            except: Exceptions::default(),
        })
    }

    /// Connects through the proxies that the environment names now.
    ///
    /// For `wss://` the first that is set of `wss_proxy`, `socks_proxy`, `https_proxy` and
    /// `all_proxy`; for `ws://` of `ws_proxy`, `socks_proxy`, `https_proxy`, `http_proxy` and
    /// `all_proxy` (RFC 6455 §4.1 prefers SOCKS, then what is made for TLS). An empty one counts as
    /// not set. Names in lower case go before those in upper case; `HTTP_PROXY` is passed over where
    /// there is a `REQUEST_METHOD`, since in a CGI program any client can set it.
    /// A value without a scheme is taken for `http`, in `socks_proxy` for `socks5h`.
    ///
    /// `no_proxy` lists hosts to connect to without a proxy, as [`except`](Self::except) does.
    ///
    /// # Errors
    ///
    /// Fails if a variable is not the URL of a proxy; the error names the variable.
    pub fn from_environment() -> Result<Self, OptionsError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`from_environment`](Self::from_environment), with variables that are looked up elsewhere.
    ///
    /// ```
    /// use motorway::Proxy;
    ///
    /// let proxy = Proxy::from_variables(|name| match name {
    ///     "https_proxy" => Some("http://proxy:3128".to_owned()),
    ///     "no_proxy" => Some("localhost,10.0.0.0/8,.internal".to_owned()),
    ///     _ => None,
    /// })?;
    /// let server = |host| proxy.server("wss", host, 443).map(ToString::to_string);
    /// assert_eq!(server("example.com").as_deref(), Some("http://proxy:3128"));
    /// assert_eq!(server("10.1.2.3"), None);
    /// # Ok::<(), motorway::OptionsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if a variable is not the URL of a proxy; the error names the variable.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, OptionsError> {
        let variables = Variables::read(&lookup)?;
        let except = lookup("no_proxy").or_else(|| lookup("NO_PROXY"));
        let except = except.unwrap_or_default();
        let listed = except.split([',', ' ', '\t']);
        Ok(Self {
            choice: Choice::Variables(Box::new(variables)),
            except: Exceptions::default(),
        }
        .except(listed))
    }

    /// Adds hosts that are connected to without a proxy.
    ///
    /// `example.com` and `.example.com` stand for that host and all below it, `*` for every host;
    /// addresses and networks such as `10.0.0.0/8` are compared with hosts that are addresses, for
    /// which no name is resolved. Each may have a port. What is none of these stands for nothing.
    #[must_use]
    pub fn except(mut self, hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        for host in hosts {
            self.except.add(host.as_ref());
        }
        self
    }

    /// Returns the proxy on the way to a server: `ws` or `wss`, its host and its port.
    #[must_use]
    pub fn server(&self, scheme: &str, host: &str, port: u16) -> Option<&ProxyServer> {
        if self.except.cover(host, port) {
            return None;
        }
        match &self.choice {
            Choice::None => None,
            Choice::One(server) => Some(server),
            Choice::Variables(variables) => variables.server(scheme),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Proxy");
        match &self.choice {
            Choice::None => tuple.field(&format_args!("none")),
            Choice::One(server) => tuple.field(&server.to_string()),
            Choice::Variables(variables) => tuple.field(variables),
        };
        tuple.finish()
    }
}

impl TryFrom<&str> for Proxy {
    type Error = OptionsError;

    fn try_from(url: &str) -> Result<Self, OptionsError> {
        Self::new(url)
    }
}

impl TryFrom<String> for Proxy {
    type Error = OptionsError;

    fn try_from(url: String) -> Result<Self, OptionsError> {
        Self::new(url)
    }
}

impl TryFrom<&String> for Proxy {
    type Error = OptionsError;

    fn try_from(url: &String) -> Result<Self, OptionsError> {
        Self::new(url)
    }
}
