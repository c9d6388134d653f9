//! Basic authentication (RFC 7617), for `on_connect`.

use std::fmt;
use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};

use super::ConnectionDeny;

/// Names and passwords, and the denial of those who have none of them (RFC 7617).
///
/// Passwords go over the wire as they are: to be used with TLS. Browsers send none with a WebSocket
/// unless the page was asked for one, or the URL names it.
///
/// ```
/// use motorway::{BasicAuth, ConnectionAccept, ConnectionDeny, ConnectionRequest};
///
/// struct Gate(BasicAuth);
///
/// impl Gate {
///     fn open(&self, request: &ConnectionRequest) -> Result<ConnectionAccept, ConnectionDeny> {
///         let user = self.0.check(request.headers())?;
///         Ok(ConnectionAccept::new().header("x-user", user))
///     }
/// }
///
/// let gate = Gate(BasicAuth::new("club").user("alice", "open sesame"));
/// # let _ = gate;
/// ```
#[derive(Clone)]
pub struct BasicAuth {
    realm: String,
    users: Vec<(String, String)>,
}

impl BasicAuth {
    /// Lets nobody in yet; the realm is what browsers show to those whom they ask.
    ///
    /// What is not printable ASCII in the realm is sent as a question mark.
    #[must_use]
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            users: Vec::new(),
        }
    }

    /// Lets a user in with this password. A name with a colon never matches (RFC 7617 §2).
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Returns the name of the user whose password came with a request.
    ///
    /// Takes the same time for all wrong passwords of a length, and looks at all users.
    ///
    /// # Errors
    ///
    /// Fails with a denial by 401 and `WWW-Authenticate` if `Authorization` is missing, comes twice
    /// or is malformed, or if the name or the password is wrong.
    pub fn check(&self, headers: &HeaderMap) -> Result<&str, ConnectionDeny> {
        let found = credentials(headers);
        let (name, password) = found.as_ref().ok_or_else(|| self.denial())?;
        let mut user = None;
        for (known, secret) in &self.users {
            // Both are looked at in any case.
            let is_known = is_same(known.as_bytes(), name.as_bytes());
            if is_same(secret.as_bytes(), password.as_bytes()) & is_known {
                user = Some(known.as_str());
            }
        }
        user.ok_or_else(|| self.denial())
    }

    fn denial(&self) -> ConnectionDeny {
        let printable = self.realm.chars().map(|character| match character {
            ' '..='~' => character,
            _ => '?',
        });
        let mut realm = String::new();
        for character in printable {
            if matches!(character, '"' | '\\') {
                realm.push('\\');
            }
            realm.push(character);
        }
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
        ConnectionDeny::new(StatusCode::UNAUTHORIZED).header("www-authenticate", challenge)
    }
}

/// The name and the password that came with a request.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = STANDARD.decode(rest.trim()).ok()?;
    let text = String::from_utf8(octets).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Compares in a time that depends on the length of what is `given` alone.
fn is_same(known: &[u8], given: &[u8]) -> bool {
    let mut difference = known.len() ^ given.len();
    for (place, octet) in given.iter().enumerate() {
        let expected = known.get(place).copied().unwrap_or_default();
        difference |= black_box(usize::from(octet ^ expected));
    }
    difference == 0
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth")
            .field("realm", &self.realm)
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}
