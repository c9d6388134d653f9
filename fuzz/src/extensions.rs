//! Offers and answers of extensions, against plain readings of RFC 6455 §9.1 and RFC 7692 §7.1.

use motorway::DeflateOptions;
use motorway::extension::deflate::{DeflateParameters, negotiate};
use motorway::extension::{Offer, Parameter};

/// What is parsed is what the grammar says and prints as what parses to the same. A server answers the
/// first offer that it can, with what was offered; a client accepts only what it has offered.
pub fn extensions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parsed = Offer::parse_list(text);
    if !text.contains('"') {
        assert_eq!(parsed.as_ref().ok(), plain(text).as_ref(), "{text:?}");
    }
    let Ok(offers) = parsed else {
        return;
    };
    let printed: Vec<_> = offers.iter().map(ToString::to_string).collect();
    assert_eq!(Offer::parse_list(&printed.join(", ")), Ok(offers.clone()));
    for options in options() {
        check_server(&offers, &options);
        for offer in &offers {
            check_client(offer, &options);
        }
    }
}

fn options() -> [DeflateOptions; 4] {
    let default = DeflateOptions::default;
    [
        default(),
        default()
            .server_no_context_takeover(true)
            .client_max_window_bits(9),
        default()
            .client_no_context_takeover(true)
            .server_max_window_bits(12),
        default()
            .server_max_window_bits(9)
            .client_max_window_bits(15),
    ]
}

/// The grammar without quoted strings.
fn plain(text: &str) -> Option<Vec<Offer>> {
    let space: &[char] = &[' ', '\t'];
    let items = text.split(',').map(|item| item.trim_matches(space));
    let items = items.filter(|item| !item.is_empty());
    let offers: Option<Vec<_>> = items
        .map(|item| {
            let mut parts = item.split(';').map(|part| part.trim_matches(space));
            let name = token(parts.next()?)?;
            let parameters = parts.map(|part| {
                let (name, value) = match part.split_once('=') {
                    Some((name, value)) => (name, Some(token(value.trim_matches(space))?)),
                    None => (part, None),
                };
                let name = token(name.trim_matches(space))?;
                Some(Parameter { name, value })
            });
            let parameters = parameters.collect::<Option<_>>()?;
            Some(Offer { name, parameters })
        })
        .collect();
    offers.filter(|offers| !offers.is_empty())
}

fn token(text: &str) -> Option<String> {
    let is_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
    (!text.is_empty() && text.chars().all(is_token)).then(|| text.to_owned())
}

/// The parameters of permessage-deflate: whether each was there, and with which bits.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    server_forgets: bool,
    client_forgets: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

/// §7.1: known parameters, each at most once, with the values that they may have.
fn asked(offer: &Offer) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut seen = Vec::new();
    for parameter in &offer.parameters {
        let name = parameter.name.to_ascii_lowercase();
        let bits = parameter.value.as_ref().map(|value| {
            let bits = value
                .parse::<u8>()
                .ok()
                .filter(|bits| (8..=15).contains(bits));
            bits.filter(|bits| bits.to_string() == *value)
        });
        match (name.as_str(), bits) {
            ("server_no_context_takeover", None) => asked.server_forgets = true,
            ("client_no_context_takeover", None) => asked.client_forgets = true,
            ("server_max_window_bits", Some(Some(bits))) => asked.server_bits = Some(bits),
            ("client_max_window_bits", None) => asked.client_bits = Some(None),
            ("client_max_window_bits", Some(Some(bits))) => asked.client_bits = Some(Some(bits)),
            _ => return None,
        }
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
    }
    let is_deflate = offer.name.eq_ignore_ascii_case("permessage-deflate");
    is_deflate.then_some(asked)
}

fn check_server(offers: &[Offer], options: &DeflateOptions) {
    let mut valid = offers.iter().filter_map(asked);
    // zlib has no window of 8 bits.
    let first = valid.find(|asked| asked.server_bits != Some(8));
    let answer = negotiate::answer(offers, options);
    assert_eq!(answer.is_some(), first.is_some());
    let (Some((agreed, answer)), Some(asked_for)) = (answer, first) else {
        return;
    };
    let said = asked(&answer).expect("a valid answer");
    // §7.1.1.1 and §7.1.2.1: what the client demands of the server is promised.
    assert!(said.server_forgets || !asked_for.server_forgets);
    if let Some(most) = asked_for.server_bits {
        assert!(
            said.server_bits
                .is_some_and(|bits| (9..=most).contains(&bits))
        );
    }
    // §7.1.2.2: the client's window is limited only if it said that it can be, and with a number.
    match (asked_for.client_bits, said.client_bits) {
        (None, Some(_)) | (_, Some(None)) => panic!("{answer}"),
        (Some(Some(most)), Some(Some(bits))) => assert!(bits <= most),
        _ => {}
    }
    assert_eq!(
        (
            agreed.server_no_context_takeover,
            agreed.client_no_context_takeover
        ),
        (said.server_forgets, said.client_forgets)
    );
    assert_eq!(
        agreed.server_max_window_bits,
        said.server_bits.unwrap_or(15)
    );
    assert!(agreed.server_max_window_bits <= options_of(options).server_max_window_bits);
    assert_eq!(
        agreed.client_max_window_bits,
        said.client_bits.flatten().unwrap_or(15)
    );
}

/// What options have of their own.
fn options_of(options: &DeflateOptions) -> DeflateParameters {
    let offer = asked(&negotiate::offer(options)).expect("a valid offer");
    DeflateParameters {
        server_no_context_takeover: offer.server_forgets,
        client_no_context_takeover: offer.client_forgets,
        server_max_window_bits: offer.server_bits.unwrap_or(15),
        client_max_window_bits: offer.client_bits.flatten().unwrap_or(15),
    }
}

fn check_client(answer: &Offer, options: &DeflateOptions) {
    let own = options_of(options);
    let said = asked(answer).filter(|said| said.client_bits != Some(None));
    let fits = said.filter(|said| {
        let bits = said.server_bits.unwrap_or(15);
        // Where a limit was asked for the answer has to have it (§7.1.2.1).
        (said.server_forgets || !own.server_no_context_takeover)
            && (own.server_max_window_bits == 15 || said.server_bits.is_some())
            && bits <= own.server_max_window_bits
            && said.client_bits.flatten().unwrap_or(8) <= own.client_max_window_bits
    });
    let accepted = negotiate::accept(answer, options);
    assert_eq!(accepted.is_ok(), fits.is_some(), "{answer}: {accepted:?}");
    let (Ok(agreed), Some(said)) = (accepted, fits) else {
        return;
    };
    assert_eq!(agreed.server_no_context_takeover, said.server_forgets);
    assert_eq!(
        agreed.server_max_window_bits,
        said.server_bits.unwrap_or(15)
    );
    // A client may do more than it is asked to.
    let forgets = said.client_forgets || own.client_no_context_takeover;
    assert_eq!(agreed.client_no_context_takeover, forgets);
    let bits = said
        .client_bits
        .flatten()
        .unwrap_or(own.client_max_window_bits);
    assert_eq!(agreed.client_max_window_bits, bits);
}
