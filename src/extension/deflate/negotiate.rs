//! Offers and answers of `permessage-deflate`, as pure functions (RFC 7692 §7.1).

use super::{DeflateParameters, NAME};
use crate::extension::{NegotiationError, Offer};
use crate::options::compression::{
    Bits, CLIENT_MAX_WINDOW_BITS, CLIENT_NO_CONTEXT_TAKEOVER, MAX_BITS, MIN_BITS, Order,
    Parameters, ResponsePolicy, SERVER_MAX_WINDOW_BITS, SERVER_NO_CONTEXT_TAKEOVER,
};
use crate::options::{
    ClientOptions, DeflateOptions, PerMessageDeflateOffer, PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse, PerMessageDeflateResponseAccept, ServerOptions,
};

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
        .filter_map(|offer| parse(offer, BareBits::Allowed).ok())
        .find_map(|offered| answer_one(&offered, options))
}

/// Answers the offer that was accepted, as a server.
///
/// ```
/// use motorway::extension::{Offer, deflate::negotiate};
/// use motorway::{PerMessageDeflateOffer, PerMessageDeflateOfferAccept};
///
/// let offers = Offer::parse_list("permessage-deflate; client_max_window_bits")?;
/// let offer = PerMessageDeflateOffer::try_from(&offers[0])?;
/// let accept = PerMessageDeflateOfferAccept::new(&offer).with_request_max_window_bits(10)?;
/// let (agreed, response) = negotiate::answer_with(&accept);
/// assert_eq!(agreed.client_max_window_bits, 10);
/// assert_eq!(response.to_string(), "permessage-deflate; client_max_window_bits=10");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn answer_with(accept: &PerMessageDeflateOfferAccept) -> (DeflateParameters, Offer) {
    let response = print(accept.answer(), Order::ServerFirst);
    (agreed(accept.effect()), response)
}

/// Makes the offer of a client (RFC 7692 §7.1).
///
/// Always with `client_max_window_bits`, so that the server may ask for a smaller window.
#[must_use]
pub fn offer(options: &DeflateOptions) -> Offer {
    print(offered(options), Order::Ours)
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
    let answered = parse(response, BareBits::Forbidden)?;
    fits(&offered(options), &answered)?;
    Ok(agreed(bound(answered, options)))
}

/// Says what is agreed by a response that was accepted, as a client.
///
/// ```
/// use motorway::extension::{Offer, deflate::negotiate};
/// use motorway::{PerMessageDeflateResponse, PerMessageDeflateResponseAccept};
///
/// let response = Offer::parse_list("permessage-deflate; client_max_window_bits=12")?;
/// let response = PerMessageDeflateResponse::try_from(&response[0])?;
/// let accept = PerMessageDeflateResponseAccept::new(&response).with_window_bits(10)?;
/// assert_eq!(negotiate::accept_with(&accept).client_max_window_bits, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn accept_with(accept: &PerMessageDeflateResponseAccept) -> DeflateParameters {
    agreed(accept.effect())
}

/// What is settled about compression by one end.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) parameters: DeflateParameters,
    /// How this end compresses.
    pub(crate) options: DeflateOptions,
    /// What the server sends.
    pub(crate) answer: Offer,
}

/// Settles compression as a server that was told so.
pub(crate) fn settle(offers: &[Offer], options: &ServerOptions) -> Option<Settled> {
    let tuning = options.common.per_message_deflate;
    let Some(policy) = &options.per_message_compression_accept else {
        let options = tuning?;
        let (parameters, answer) = answer(offers, &options)?;
        return Some(Settled {
            parameters,
            options,
            answer,
        });
    };
    let offers = offers.iter().map(PerMessageDeflateOffer::try_from);
    let offers: Vec<_> = offers.filter_map(Result::ok).collect();
    if offers.is_empty() {
        return None;
    }
    // An answer to an offer of somebody else would be invalid.
    let accept = (policy.0)(&offers).filter(|accept| offers.contains(accept.offer()))?;
    let (parameters, answer) = answer_with(&accept);
    Some(Settled {
        parameters,
        options: accept.options(tuning.unwrap_or_default()),
        answer,
    })
}

/// What is agreed, and how this end compresses.
pub(crate) type Settlement = (DeflateParameters, DeflateOptions);

/// What a client has offered, to judge the response by.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    offers: Vec<Parameters>,
    /// By whose order they are written.
    order: Order,
    policy: Option<ResponsePolicy>,
    options: Option<DeflateOptions>,
}

impl Offered {
    /// Makes the offers of a client that was told so, if there are any.
    pub(crate) fn of(options: &ClientOptions) -> Option<Self> {
        let tuning = options.common.per_message_deflate;
        let offers = &options.per_message_compression_offers;
        let (offers, order) = match offers.is_empty() {
            true => (vec![offered(&tuning?)], Order::Ours),
            false => {
                let offers = offers.iter().map(PerMessageDeflateOffer::parameters);
                (offers.collect(), Order::ClientFirst)
            }
        };
        Some(Self {
            offers,
            order,
            policy: options.per_message_compression_accept.clone(),
            options: tuning,
        })
    }

    /// Writes the value of the header.
    pub(crate) fn header(&self) -> String {
        let offers = self.offers.iter().map(|offer| print(*offer, self.order));
        let offers: Vec<_> = offers.map(|offer| offer.to_string()).collect();
        offers.join(", ")
    }

    /// Judges the response, which has to fit one of the offers.
    pub(crate) fn accept(&self, response: &Offer) -> Result<Settlement, NegotiationError> {
        let answered = parse(response, BareBits::Forbidden)?;
        let mut fault = NegotiationError::NotOffered;
        let fits = self.offers.iter().rev().any(|offer| {
            // What is wrong by the first offer is what is told.
            let fits = fits(offer, &answered);
            fits.map_err(|error| fault = error).is_ok()
        });
        if !fits {
            return Err(fault);
        }
        let options = self.options.unwrap_or_default();
        let Some(policy) = &self.policy else {
            return Ok((self.agreed(answered), options));
        };
        let response = PerMessageDeflateResponse::of(answered);
        let accept = (policy.0)(&response).filter(|accept| *accept.response() == response);
        let accept = accept.ok_or(NegotiationError::Declined)?;
        Ok((self.agreed(accept.effect()), accept.options(options)))
    }

    /// Returns what is agreed. Options that made the offer bind this end, too.
    fn agreed(&self, answered: Parameters) -> DeflateParameters {
        agreed(match (self.order, &self.options) {
            (Order::Ours, Some(options)) => bound(answered, options),
            _ => answered,
        })
    }
}

/// Tells whether this is an offer or answer of the extension.
#[must_use]
pub fn is_deflate(offer: &Offer) -> bool {
    offer.name.eq_ignore_ascii_case(NAME)
}

impl TryFrom<&Offer> for PerMessageDeflateOffer {
    type Error = NegotiationError;

    /// Reads the offer of a client (RFC 7692 §7.1).
    ///
    /// Fails on another extension, on a parameter that is not valid, and on one that demands a window
    /// of 8 bits of the server, which zlib does not have.
    fn try_from(offer: &Offer) -> Result<Self, NegotiationError> {
        let parameters = parse(offer, BareBits::Allowed)?;
        if parameters
            .server_max_window_bits
            .is_some_and(|bits| bits < MIN_BITS)
        {
            let parameter = SERVER_MAX_WINDOW_BITS;
            return Err(NegotiationError::InvalidValue { parameter });
        }
        Ok(Self::of(parameters))
    }
}

impl TryFrom<&Offer> for PerMessageDeflateResponse {
    type Error = NegotiationError;

    /// Reads the response of a server (RFC 7692 §7.1).
    ///
    /// Fails on another extension and on a parameter that is not valid.
    fn try_from(response: &Offer) -> Result<Self, NegotiationError> {
        parse(response, BareBits::Forbidden).map(Self::of)
    }
}

/// Answers an offer as a server that was given options.
fn answer_one(
    offered: &Parameters,
    options: &DeflateOptions,
) -> Option<(DeflateParameters, Offer)> {
    let limit = offered.server_max_window_bits.unwrap_or(MAX_BITS);
    if limit < MIN_BITS {
        return None;
    }
    let server_bits = limit.min(options.server_max_window_bits);
    let was_limited = offered.server_max_window_bits.is_some();
    let response = Parameters {
        server_no_context_takeover: offered.server_no_context_takeover
            || options.server_no_context_takeover,
        client_no_context_takeover: offered.client_no_context_takeover
            || options.client_no_context_takeover,
        server_max_window_bits: (was_limited || server_bits < MAX_BITS).then_some(server_bits),
        client_max_window_bits: match offered.client_max_window_bits {
            Some(Bits::Bare) if options.client_max_window_bits == MAX_BITS => None,
            Some(Bits::Bare) => Some(Bits::At(options.client_max_window_bits)),
            Some(Bits::At(bits)) => Some(Bits::At(bits.min(options.client_max_window_bits))),
            // §7.1.2.2: "If a received extension negotiation offer doesn't have the
            // 'client_max_window_bits' extension parameter, the corresponding extension negotiation
            // response to the offer MUST NOT include" it.
            None => None,
        },
    };
    Some((agreed(response), print(response, Order::Ours)))
}

/// Returns what a client with these options offers.
fn offered(options: &DeflateOptions) -> Parameters {
    let (server_bits, client_bits) = (
        options.server_max_window_bits,
        options.client_max_window_bits,
    );
    Parameters {
        server_no_context_takeover: options.server_no_context_takeover,
        client_no_context_takeover: options.client_no_context_takeover,
        server_max_window_bits: (server_bits < MAX_BITS).then_some(server_bits),
        client_max_window_bits: Some(match client_bits < MAX_BITS {
            true => Bits::At(client_bits),
            false => Bits::Bare,
        }),
    }
}

/// Checks that an answer is one to this offer.
fn fits(offered: &Parameters, answered: &Parameters) -> Result<(), NegotiationError> {
    if offered.server_no_context_takeover && !answered.server_no_context_takeover {
        let parameter = SERVER_NO_CONTEXT_TAKEOVER;
        return Err(NegotiationError::Missing { parameter });
    }
    let parameter = SERVER_MAX_WINDOW_BITS;
    match (
        offered.server_max_window_bits,
        answered.server_max_window_bits,
    ) {
        (Some(_), None) => return Err(NegotiationError::Missing { parameter }),
        (Some(limit), Some(bits)) if bits > limit => {
            return Err(NegotiationError::WindowTooLarge {
                parameter,
                bits,
                limit,
            });
        }
        _ => {}
    }
    let parameter = CLIENT_MAX_WINDOW_BITS;
    match (
        offered.client_max_window_bits,
        answered.client_max_window_bits,
    ) {
        (None, Some(_)) => Err(NegotiationError::ParameterNotOffered { parameter }),
        (Some(Bits::At(limit)), Some(Bits::At(bits))) if bits > limit => {
            Err(NegotiationError::WindowTooLarge {
                parameter,
                bits,
                limit,
            })
        }
        _ => Ok(()),
    }
}

/// Adds to an answer what a client with these options does without having been asked to.
fn bound(mut answered: Parameters, options: &DeflateOptions) -> Parameters {
    // §7.1.1.2: a client may forget its window without having been asked to.
    answered.client_no_context_takeover |= options.client_no_context_takeover;
    let own = Bits::At(options.client_max_window_bits);
    answered.client_max_window_bits = answered.client_max_window_bits.or(Some(own));
    answered
}

/// Returns what parameters mean where they leave something out.
fn agreed(parameters: Parameters) -> DeflateParameters {
    DeflateParameters {
        server_no_context_takeover: parameters.server_no_context_takeover,
        client_no_context_takeover: parameters.client_no_context_takeover,
        server_max_window_bits: parameters.server_max_window_bits.unwrap_or(MAX_BITS),
        client_max_window_bits: match parameters.client_max_window_bits {
            Some(Bits::At(bits)) => bits,
            Some(Bits::Bare) | None => MAX_BITS,
        },
    }
}

/// Whether `client_max_window_bits` may come without a value: in offers alone (§7.1.2.2).
#[derive(Clone, Copy, PartialEq)]
enum BareBits {
    Allowed,
    Forbidden,
}

fn parse(offer: &Offer, bare: BareBits) -> Result<Parameters, NegotiationError> {
    if !is_deflate(offer) {
        return Err(NegotiationError::NotOffered);
    }
    let mut parameters = Parameters::default();
    for parameter in &offer.parameters {
        let mut known = KNOWN.into_iter();
        let known = known.find(|known| known.eq_ignore_ascii_case(&parameter.name));
        let known = known.ok_or(NegotiationError::UnknownParameter)?;
        let value = parameter.value.as_deref();
        take(&mut parameters, (known, value), bare)?;
    }
    Ok(parameters)
}

/// Takes in one parameter, with its value if it has one.
fn take(
    parameters: &mut Parameters,
    (parameter, value): (&'static str, Option<&str>),
    bare: BareBits,
) -> Result<(), NegotiationError> {
    let invalid = NegotiationError::InvalidValue { parameter };
    let bits = value.and_then(window_bits).ok_or(invalid.clone());
    let is_first = match (parameter, value) {
        (SERVER_NO_CONTEXT_TAKEOVER, None) => set(&mut parameters.server_no_context_takeover),
        (CLIENT_NO_CONTEXT_TAKEOVER, None) => set(&mut parameters.client_no_context_takeover),
        (SERVER_MAX_WINDOW_BITS, _) => parameters.server_max_window_bits.replace(bits?).is_none(),
        (CLIENT_MAX_WINDOW_BITS, None) if bare == BareBits::Allowed => parameters
            .client_max_window_bits
            .replace(Bits::Bare)
            .is_none(),
        (CLIENT_MAX_WINDOW_BITS, _) => {
            let bits = Bits::At(bits?);
            parameters.client_max_window_bits.replace(bits).is_none()
        }
        _ => return Err(invalid),
    };
    match is_first {
        true => Ok(()),
        false => Err(NegotiationError::RepeatedParameter { parameter }),
    }
}

fn print(parameters: Parameters, order: Order) -> Offer {
    let mut offer = Offer::new(NAME);
    for (name, value) in parameters.list(order) {
        let value = value.map(|bits| bits.to_string());
        offer = offer.parameter(name, value.as_deref());
    }
    offer
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

const KNOWN: [&str; 4] = [
    SERVER_NO_CONTEXT_TAKEOVER,
    CLIENT_NO_CONTEXT_TAKEOVER,
    SERVER_MAX_WINDOW_BITS,
    CLIENT_MAX_WINDOW_BITS,
];
