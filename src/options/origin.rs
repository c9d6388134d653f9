//! From which pages browsers may connect (RFC 6455 §10.2, RFC 6454).
//!
//! An origin is taken apart into scheme, host and port, and each part is matched by its own
//! anchored pattern, so that no wildcard can reach over into the next part.

use regex::Regex;

use super::{OptionsError, authority};

/// The origins that a server accepts, as patterns `scheme://host[:port]`.
///
/// Scheme, host and port are matched apart, without regard to case, and `*` stands
///
/// - as a whole label of a host for one or more labels: `*.example.com` matches
///   `a.example.com` and `a.b.example.com`, but neither `example.com` nor `evil-example.com`;
/// - as a whole scheme or port for any;
/// - within a label, scheme or port for any characters but a dot, or none.
///
/// Without a port the default one of the scheme is meant; one that no port can have, such as `99*999`,
/// makes no pattern. The pattern `*` alone stands for all origins, and `self` for the server's own:
/// [`same_origin`](Self::same_origin). An origin of `null` or a file has a rule of its own:
/// [`ServerOptions::allow_null_origin`](crate::ServerOptions::allow_null_origin).
///
/// ```
/// use motorway::AllowedOrigins;
///
/// let origins = AllowedOrigins::new(["https://*.example.com"])?;
/// assert!(origins.allows("https://chat.example.com"));
/// assert!(origins.allows("https://chat.example.com:443"));
/// assert!(!origins.allows("https://chat.example.com.evil.com"));
/// assert!(!origins.allows("http://chat.example.com"));
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AllowedOrigins {
    patterns: Vec<String>,
    compiled: Vec<Pattern>,
    is_any: bool,
    has_own: bool,
}

impl AllowedOrigins {
    /// Makes the list from patterns; an empty one refuses every origin.
    ///
    /// # Errors
    ///
    /// Fails with the first pattern that is none.
    pub fn new(
        patterns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, OptionsError> {
        let mut origins = Self {
            patterns: patterns.into_iter().map(Into::into).collect(),
            compiled: Vec::new(),
            is_any: false,
            has_own: false,
        };
        for pattern in &origins.patterns {
            match pattern.as_str() {
                "*" => origins.is_any = true,
                OWN => origins.has_own = true,
                _ => {}
            }
            if ["*", OWN].contains(&pattern.as_str()) {
                continue;
            }
            let Some(compiled) = Pattern::parse(pattern) else {
                let allowed =
                    "patterns such as *, self, https://example.com or *://*.example.com:*";
                return Err(OptionsError::text("allowed_origins", pattern, allowed));
            };
            origins.compiled.push(compiled);
        }
        Ok(origins)
    }

    /// Allows the pages of the server itself, as the pattern `self` does: those whose host and port
    /// are the ones of the request's `Host` header, and whose scheme is `https` if TLS ends here,
    /// `http` if there is none.
    ///
    /// A proxy in front has to hand `Host` on as it came. Behind one at which TLS ends, the scheme is
    /// not the page's any more: name the origin instead. Nor does it help against a name that the
    /// page's owner makes lead to this host (DNS rebinding): a server that only some names lead to
    /// names its origins, too.
    ///
    /// ```
    /// use motorway::{AllowedOrigins, ServerOptions};
    ///
    /// assert_eq!(AllowedOrigins::same_origin(), AllowedOrigins::new(["self"])?);
    /// let options = ServerOptions::default().allowed_origins(["self", "https://partner.example"]);
    /// # Ok::<(), motorway::OptionsError>(())
    /// ```
    #[must_use]
    pub fn same_origin() -> Self {
        Self {
            patterns: vec![OWN.to_owned()],
            compiled: Vec::new(),
            is_any: false,
            has_own: true,
        }
    }

    /// Tells whether every origin is allowed.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.is_any
    }

    /// Tells whether a page of this origin may connect; `null` and files may where all may. Of the
    /// server's own origin nothing is known here, so that the pattern `self` allows none.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.verdict(origin, None, None) == Verdict::Allowed
    }

    /// Judges the value of an `Origin` header, given the rule for `null`, and who was asked.
    pub(crate) fn verdict(
        &self,
        origin: &str,
        allow_null: Option<bool>,
        asked: Option<Asked<'_>>,
    ) -> Verdict {
        let allowed = match Origin::parse(origin) {
            None => return Verdict::Malformed,
            Some(Origin::Null) => allow_null.unwrap_or(self.is_any),
            Some(Origin::Triple(triple)) => {
                let is_own = self.has_own && asked.is_some_and(|asked| asked.is_at(&triple));
                self.is_any || is_own || self.compiled.iter().any(|p| p.matches(&triple))
            }
        };
        if allowed {
            Verdict::Allowed
        } else {
            Verdict::Refused
        }
    }
}

impl Default for AllowedOrigins {
    fn default() -> Self {
        Self {
            patterns: vec!["*".to_owned()],
            compiled: Vec::new(),
            is_any: true,
            has_own: false,
        }
    }
}

impl PartialEq for AllowedOrigins {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

/// The server as a request names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The value of `Host`.
    pub(crate) authority: &'a str,
    /// `https` with TLS, or else `http`.
    pub(crate) scheme: &'static str,
}

impl Asked<'_> {
    fn is_at(&self, origin: &Triple) -> bool {
        let Some((host, port)) = authority(self.authority) else {
            return false;
        };
        origin.scheme == self.scheme
            && origin.host.eq_ignore_ascii_case(host)
            && origin.port == port.or_else(|| default_port(self.scheme))
    }
}

/// What is said of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Refused,
    Malformed,
}

/// An origin as a browser sends it (RFC 6454 §7.1).
enum Origin {
    Null,
    Triple(Triple),
}

struct Triple {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if text == "null" || text.starts_with("file:") {
            return Some(Self::Null);
        }
        let (scheme, rest) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let (host, port) = authority(rest)?;
        Some(Self::Triple(Triple {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port: port.or_else(|| default_port(scheme)),
        }))
    }
}

/// One pattern, compiled part by part.
#[derive(Clone, Debug)]
struct Pattern {
    scheme: Regex,
    host: Regex,
    port: Port,
}

#[derive(Clone, Debug)]
enum Port {
    /// That of the origin's scheme.
    Default,
    Any,
    At(u16),
    Matching(Regex),
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = match rest.rfind(':') {
            Some(colon) if !rest.ends_with(']') => {
                (rest.get(..colon)?, Some(rest.get(colon + 1..)?))
            }
            _ => (rest, None),
        };
        // A wildcard stands for something that is valid there, so `x` in its place must be too.
        let is_host = authority(&host.replace('*', "x")).is_some_and(|(_, port)| port.is_none());
        // Files have no origin that could be told from others, and so match nothing here.
        if !is_scheme(&scheme.replace('*', "x")) || !is_host || scheme == "file" {
            return None;
        }
        let port = match port {
            None => Port::Default,
            Some("*") => Port::Any,
            Some(port) => {
                let digits = port.replace('*', "");
                let is_number = digits.bytes().all(|octet| octet.is_ascii_digit());
                if !(1..=5).contains(&digits.len()) || !is_number {
                    return None;
                }
                if digits.len() == port.len() {
                    Port::At(port.parse().ok().filter(|port| *port > 0)?)
                } else {
                    // `99*999` and `0*` look like patterns, and no port has such a number.
                    least_met(port, &digits)?;
                    Port::Matching(anchored(&within_label(port))?)
                }
            }
        };
        let labels: Vec<_> = host.split('.').map(label).collect();
        Some(Self {
            scheme: anchored(&whole(scheme))?,
            host: anchored(&labels.join(r"\."))?,
            port,
        })
    }

    fn matches(&self, origin: &Triple) -> bool {
        let has_port = match &self.port {
            Port::Any => true,
            Port::Default => origin.port == default_port(&origin.scheme),
            Port::At(port) => origin.port == Some(*port),
            Port::Matching(pattern) => origin
                .port
                .is_some_and(|port| pattern.is_match(&port.to_string())),
        };
        has_port && self.scheme.is_match(&origin.scheme) && self.host.is_match(&origin.host)
    }
}

/// Returns the least port that meets a pattern of these digits: whatever else its stars stand for makes
/// it larger.
fn least_met(pattern: &str, digits: &str) -> Option<u16> {
    let least = match pattern.starts_with('*') && digits.starts_with('0') {
        true => format!("1{digits}"),
        false => digits.to_owned(),
    };
    least.parse().ok().filter(|_| !least.starts_with('0'))
}

/// Turns a label of a host into an expression: a lone `*` is one or more whole labels.
fn label(label: &str) -> String {
    match label {
        "*" => r"[^.]+(?:\.[^.]+)*".to_owned(),
        _ => within_label(label),
    }
}

/// Turns a scheme into an expression: a lone `*` is any.
fn whole(scheme: &str) -> String {
    match scheme {
        "*" => ".+".to_owned(),
        _ => within_label(scheme),
    }
}

/// Turns text into an expression that takes everything but `*` literally.
fn within_label(text: &str) -> String {
    let literals: Vec<_> = text.split('*').map(regex::escape).collect();
    literals.join("[^.]*")
}

fn anchored(expression: &str) -> Option<Regex> {
    Regex::new(&format!(r"\A(?:{expression})\z")).ok()
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The pattern for the origin of the server itself.
const OWN: &str = "self";
