//! Headers that the user adds to a request or response.
//!
//! Kept with the first fault in them, so that setters can be chained and the fault is told later.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers in the order given, and what was wrong with one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExtraHeaders {
    map: HeaderMap,
    fault: Option<String>,
}

impl ExtraHeaders {
    /// Adds a header; one that is not valid is kept as a fault.
    pub(crate) fn append(&mut self, name: &str, value: impl TryInto<HeaderValue>) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        let appended = match (parsed, value.try_into()) {
            (Some(name), Ok(value)) => self.map.try_append(name, value).is_ok(),
            _ => false,
        };
        if !appended {
            self.fault.get_or_insert_with(|| name.to_owned());
        }
    }

    /// Adds headers that are valid by type.
    pub(crate) fn extend(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.append(name.as_str(), value);
        }
    }

    /// Takes out the headers of these names.
    pub(crate) fn remove(&mut self, names: &[HeaderName]) {
        for name in names {
            self.map.remove(name);
        }
    }

    /// Returns the valid headers.
    pub(crate) fn map(&self) -> &HeaderMap {
        &self.map
    }

    /// Returns the name of the first header that is not valid or that only the handshake may set.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref().or_else(|| {
            let mut names = self.map.keys().filter(|name| is_reserved(name));
            names.next().map(HeaderName::as_str)
        })
    }
}

/// Tells whether the header belongs to the handshake or to the framing of HTTP.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    [
        header::UPGRADE,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ]
    .contains(name)
        || name.as_str().starts_with("sec-websocket-")
}
