//! Offers and answers of `permessage-deflate`, as pure functions (RFC 7692 §7.1).

use super::{DeflateParameters, NAME};
use crate::extension::{NegotiationError, Offer};
use crate::options::DeflateOptions;

/// Answers the first offer that can be accepted, as a server (RFC 7692 §5.1).
///
/// Returns what is agreed and the extension for the response; `None` declines all. An offer that
/// is not valid is declined and the next one considered, and so is one that demands a window of
/// 8 bits of the server, which zlib does not have.
///
/// ```
/// use motorway::DeflateOptions;
/// use motorway::extension::{Offer, deflate::negotiate};
///
/// let offers = Offer::parse_list(
///     "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
/// )?;
/// let options = DeflateOptions::default().client_max_window_bits(12);
/// let (agreed, response) = negotiate::answer(&offers, &options).unwrap();
/// assert_eq!(agreed.client_max_window_bits, 12);
/// assert_eq!(
///     response.to_string(),
///     "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
/// );
/// # Ok::<(), motorway::extension::NegotiationError>(())
/// ```
#[must_use]
pub fn answer(offers: &[Offer], options: &DeflateOptions) -> Option<(DeflateParameters, Offer)> {
    offers
        .iter()
        .filter(|offer| is_deflate(offer))
        .filter_map(|offer| Parameters::parse(offer, BareBits::Allowed).ok())
        .find_map(|offered| answer_one(&offered, options))
}

/// Makes the offer of a client (RFC 7692 §7.1).
///
/// Always with `client_max_window_bits`, so that the server may ask for a smaller window.
#[must_use]
pub fn offer(options: &DeflateOptions) -> Offer {
    let mut parameters = Parameters {
        server_no_context_takeover: options.server_no_context_takeover,
        client_no_context_takeover: options.client_no_context_takeover,
        server_max_window_bits: None,
        client_max_window_bits: Some(Bits::Bare),
    };
    if options.server_max_window_bits < MAX_BITS {
        parameters.server_max_window_bits = Some(options.server_max_window_bits);
    }
    if options.client_max_window_bits < MAX_BITS {
        parameters.client_max_window_bits = Some(Bits::At(options.client_max_window_bits));
    }
    parameters.print()
}

/// Checks the server's answer to the offer made of these options, as a client (RFC 7692 §7.1).
///
/// A client that is told to use 8 bits has to send its messages uncompressed.
///
/// # Errors
///
/// Fails on an answer to what was not offered, and on one that leaves out what was asked for.
pub fn accept(
    response: &Offer,
    options: &DeflateOptions,
) -> Result<DeflateParameters, NegotiationError> {
    if !is_deflate(response) {
        return Err(NegotiationError::NotOffered);
    }
    let answered = Parameters::parse(response, BareBits::Forbidden)?;
    if options.server_no_context_takeover && !answered.server_no_context_takeover {
        let parameter = SERVER_NO_CONTEXT_TAKEOVER;
        return Err(NegotiationError::Missing { parameter });
    }
    let parameter = SERVER_MAX_WINDOW_BITS;
    let server_bits = match answered.server_max_window_bits {
        Some(bits) if bits > options.server_max_window_bits => {
            return Err(NegotiationError::Parameter { parameter });
        }
        Some(bits) => bits,
        None if options.server_max_window_bits < MAX_BITS => {
            return Err(NegotiationError::Missing { parameter });
        }
        None => MAX_BITS,
    };
    let client_bits = match answered.client_max_window_bits {
        Some(Bits::At(bits)) if bits > options.client_max_window_bits => {
            let parameter = CLIENT_MAX_WINDOW_BITS;
            return Err(NegotiationError::Parameter { parameter });
        }
        Some(Bits::At(bits)) => bits,
        Some(Bits::Bare) | None => options.client_max_window_bits,
    };
    Ok(DeflateParameters {
        server_no_context_takeover: answered.server_no_context_takeover,
        // §7.1.1.2: a client may forget its window without having been asked to.
        client_no_context_takeover: answered.client_no_context_takeover
            || options.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
    })
}

/// Tells whether this is an offer or answer of the extension.
#[must_use]
pub fn is_deflate(offer: &Offer) -> bool {
    offer.name.eq_ignore_ascii_case(NAME)
}

fn answer_one(
    offered: &Parameters,
    options: &DeflateOptions,
) -> Option<(DeflateParameters, Offer)> {
    let limit = offered.server_max_window_bits.unwrap_or(MAX_BITS);
    if limit < MIN_BITS {
        return None;
    }
    let server_bits = limit.min(options.server_max_window_bits);
    // §7.1.2.2: "If a received extension negotiation offer doesn't have the
    // 'client_max_window_bits' extension parameter, the corresponding extension negotiation
    // response to the offer MUST NOT include" it.
    let client_bits = match offered.client_max_window_bits {
        None => MAX_BITS,
        Some(Bits::Bare) => options.client_max_window_bits,
        Some(Bits::At(bits)) => bits.min(options.client_max_window_bits),
    };
    let agreed = DeflateParameters {
        server_no_context_takeover: offered.server_no_context_takeover
            || options.server_no_context_takeover,
        client_no_context_takeover: offered.client_no_context_takeover
            || options.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
    };
    let was_limited = offered.server_max_window_bits.is_some();
    let response = Parameters {
        server_no_context_takeover: agreed.server_no_context_takeover,
        client_no_context_takeover: agreed.client_no_context_takeover,
        server_max_window_bits: (was_limited || server_bits < MAX_BITS).then_some(server_bits),
        client_max_window_bits: match offered.client_max_window_bits {
            Some(Bits::Bare) if client_bits == MAX_BITS => None,
            Some(_) => Some(Bits::At(client_bits)),
            None => None,
        },
    };
    Some((agreed, response.print()))
}

/// The parameters of one offer or answer, each at most once.
#[derive(Clone, Copy, Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<Bits>,
}

/// A number of window bits, which an offer may leave open.
#[derive(Clone, Copy)]
enum Bits {
    Bare,
    At(u8),
}

/// Whether `client_max_window_bits` may come without a value: in offers alone (§7.1.2.2).
#[derive(Clone, Copy, PartialEq)]
enum BareBits {
    Allowed,
    Forbidden,
}

impl Parameters {
    fn parse(offer: &Offer, bare: BareBits) -> Result<Self, NegotiationError> {
        let mut parameters = Self::default();
        for parameter in &offer.parameters {
            let value = parameter.value.as_deref();
            let known = KNOWN
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(&parameter.name));
            let is_first_and_valid = match known {
                Some(SERVER_NO_CONTEXT_TAKEOVER) => {
                    value.is_none() && set(&mut parameters.server_no_context_takeover)
                }
                Some(CLIENT_NO_CONTEXT_TAKEOVER) => {
                    value.is_none() && set(&mut parameters.client_no_context_takeover)
                }
                Some(SERVER_MAX_WINDOW_BITS) => {
                    let bits = value.and_then(window_bits);
                    bits.is_some() && parameters.server_max_window_bits.is_none() && {
                        parameters.server_max_window_bits = bits;
                        true
                    }
                }
                Some(CLIENT_MAX_WINDOW_BITS) => {
                    let bits = match value {
                        None => (bare == BareBits::Allowed).then_some(Bits::Bare),
                        Some(value) => window_bits(value).map(Bits::At),
                    };
                    bits.is_some() && parameters.client_max_window_bits.is_none() && {
                        parameters.client_max_window_bits = bits;
                        true
                    }
                }
                _ => false,
            };
            if !is_first_and_valid {
                let parameter = known.unwrap_or("unknown");
                return Err(NegotiationError::Parameter { parameter });
            }
        }
        Ok(parameters)
    }

    fn print(self) -> Offer {
        let mut offer = Offer::new(NAME);
        if self.server_no_context_takeover {
            offer = offer.parameter(SERVER_NO_CONTEXT_TAKEOVER, None);
        }
        if self.client_no_context_takeover {
            offer = offer.parameter(CLIENT_NO_CONTEXT_TAKEOVER, None);
        }
        if let Some(bits) = self.server_max_window_bits {
            offer = offer.parameter(SERVER_MAX_WINDOW_BITS, Some(&bits.to_string()));
        }
        match self.client_max_window_bits {
            Some(Bits::Bare) => offer.parameter(CLIENT_MAX_WINDOW_BITS, None),
            Some(Bits::At(bits)) => {
                offer.parameter(CLIENT_MAX_WINDOW_BITS, Some(&bits.to_string()))
            }
            None => offer,
        }
    }
}

/// Sets a flag; tells whether it was not set before.
fn set(flag: &mut bool) -> bool {
    !std::mem::replace(flag, true)
}

/// §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
const KNOWN: [&str; 4] = [
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
];

/// The smallest window that zlib compresses with.
const MIN_BITS: u8 = 9;
/// The window where nothing is said (§7.1.2).
const MAX_BITS: u8 = 15;
