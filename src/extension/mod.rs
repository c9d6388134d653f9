//! Extensions, and the header in which they are negotiated.
//!
//! The grammar is that of RFC 6455 §9.1, read in one pass: the time is linear in the length of the
//! header. What the parameters mean is for each extension to say.

pub mod deflate;
mod error;

use std::fmt;

use crate::options::{is_token, is_token_octet};

pub use error::NegotiationError;

/// An extension with its parameters: an offer of the client, or the answer of the server
/// (RFC 6455 §9.1).
///
/// ```
/// use motorway::extension::Offer;
///
/// let offers = Offer::parse_list("permessage-deflate; client_max_window_bits, foo; bar=\"1\"")?;
/// assert_eq!(offers.len(), 2);
/// assert_eq!(offers[1].name, "foo");
/// assert_eq!(offers[1].to_string(), "foo; bar=1");
/// # Ok::<(), motorway::extension::NegotiationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The name of the extension, a token.
    pub name: String,
    /// The parameters, in their order.
    pub parameters: Vec<Parameter>,
}

/// A parameter of an extension (RFC 6455 §9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, a token.
    pub name: String,
    /// The value, where there is one: a token, without the quotes that it may have had.
    pub value: Option<String>,
}

impl Offer {
    /// Makes an extension without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            parameters: Vec::new(),
        }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: Option<&str>) -> Self {
        self.parameters.push(Parameter {
            name: name.to_owned(),
            value: value.map(ToOwned::to_owned),
        });
        self
    }

    /// Parses the value of a `Sec-WebSocket-Extensions` header; lines of the same name are to be
    /// joined by commas first.
    ///
    /// # Errors
    ///
    /// Fails where the text does not follow the grammar.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NegotiationError> {
        let mut tokens = Tokenizer { text, position: 0 };
        let mut offers = Vec::new();
        loop {
            tokens.skip_space();
            // RFC 9110 §5.6.1.2: "a recipient MUST parse and ignore a reasonable number of empty
            // list elements".
            if !matches!(tokens.peek(), None | Some(b',')) {
                offers.push(tokens.offer()?);
            }
            if !tokens.take(b',') {
                break;
            }
        }
        if offers.is_empty() || tokens.peek().is_some() {
            return Err(tokens.malformed());
        }
        Ok(offers)
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for parameter in &self.parameters {
            write!(f, "; {parameter}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Reads tokens from the front of a text.
struct Tokenizer<'a> {
    text: &'a str,
    position: usize,
}

impl Tokenizer<'_> {
    fn offer(&mut self) -> Result<Offer, NegotiationError> {
        let mut offer = Offer::new(self.token()?);
        while self.take(b';') {
            self.skip_space();
            let name = self.token()?;
            let value = match self.take(b'=') {
                true => Some(self.value()?),
                false => None,
            };
            offer.parameters.push(Parameter { name, value });
        }
        Ok(offer)
    }

    fn value(&mut self) -> Result<String, NegotiationError> {
        self.skip_space();
        if !self.take(b'"') {
            return self.token();
        }
        let mut value = String::new();
        loop {
            match self.next() {
                Some(b'"') => break,
                Some(b'\\') => value.extend(self.next().map(char::from)),
                Some(octet) => value.push(char::from(octet)),
                None => return Err(self.malformed()),
            }
        }
        // RFC 6455 §9.1: "When using the quoted-string syntax variant, the value after
        // quoted-string unescaping MUST conform to the 'token' ABNF."
        if !is_token(&value) {
            return Err(self.malformed());
        }
        self.skip_space();
        Ok(value)
    }

    /// Takes a token and the space behind it.
    fn token(&mut self) -> Result<String, NegotiationError> {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let length = rest.bytes().take_while(|o| is_token_octet(*o)).count();
        if length == 0 {
            return Err(self.malformed());
        }
        self.position += length;
        self.skip_space();
        Ok(rest.get(..length).unwrap_or_default().to_owned())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.position += 1;
        }
    }

    fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.position += usize::from(found);
        found
    }

    fn next(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.position += 1;
        Some(octet)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn malformed(&self) -> NegotiationError {
        NegotiationError::Malformed {
            position: self.position,
        }
    }
}
