//! Autobahn's objects of permessage-deflate: their strings, what they refuse, what is agreed
//! (RFC 7692 §7.1).

use motorway::extension::deflate::{DeflateParameters, negotiate};
use motorway::extension::{NegotiationError, Offer};
use motorway::{
    ClientOptions, DeflateOptions, PerMessageDeflateError, PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept, PerMessageDeflateResponse, PerMessageDeflateResponseAccept,
    ServerOptions,
};

const P: &str = "permessage-deflate";

fn parse(text: &str) -> Offer {
    let offers = Offer::parse_list(&text.replace('P', P)).unwrap();
    offers.into_iter().next().unwrap()
}

fn offer(text: &str) -> Result<PerMessageDeflateOffer, NegotiationError> {
    PerMessageDeflateOffer::try_from(&parse(text))
}

fn response(text: &str) -> Result<PerMessageDeflateResponse, NegotiationError> {
    PerMessageDeflateResponse::try_from(&parse(text))
}

fn accept(text: &str) -> PerMessageDeflateOfferAccept {
    PerMessageDeflateOfferAccept::new(&offer(text).unwrap())
}

fn accepted(text: &str) -> PerMessageDeflateResponseAccept {
    PerMessageDeflateResponseAccept::new(&response(text).unwrap())
}

/// What is agreed, in short: takeovers denied, bits of server and client.
fn short(agreed: DeflateParameters) -> String {
    let flag = |set, name| if set { name } else { "-" };
    format!(
        "{}{} {} {}",
        flag(agreed.server_no_context_takeover, "s"),
        flag(agreed.client_no_context_takeover, "c"),
        agreed.server_max_window_bits,
        agreed.client_max_window_bits,
    )
}

#[test]
fn offers_are_written_as_autobahn_writes_them() {
    let new = PerMessageDeflateOffer::new();
    assert_eq!(new, PerMessageDeflateOffer::default());
    let bits = |offer: PerMessageDeflateOffer| offer.with_request_max_window_bits(10).unwrap();
    let all = bits(new.with_request_no_context_takeover(true));
    for (offer, expected) in [
        (new, "P; client_no_context_takeover; client_max_window_bits"),
        (
            new.with_accept_no_context_takeover(false),
            "P; client_max_window_bits",
        ),
        (
            new.with_accept_max_window_bits(false),
            "P; client_no_context_takeover",
        ),
        (
            new.with_accept_max_window_bits(false)
                .with_accept_no_context_takeover(false),
            "P",
        ),
        (
            new.with_request_no_context_takeover(true),
            "P; client_no_context_takeover; client_max_window_bits; server_no_context_takeover",
        ),
        (
            bits(new),
            "P; client_no_context_takeover; client_max_window_bits; server_max_window_bits=10",
        ),
        (
            all,
            "P; client_no_context_takeover; client_max_window_bits; server_no_context_takeover; \
             server_max_window_bits=10",
        ),
    ] {
        assert_eq!(offer.to_string().replace(P, "P"), expected);
    }
    assert_eq!(
        all.with_request_max_window_bits(None)
            .unwrap()
            .to_string()
            .len(),
        all.to_string().len() - 27
    );
}

#[test]
fn offers_are_read() {
    for (text, max, takeover, bits) in [
        ("P", false, false, None),
        ("P; client_no_context_takeover", false, false, None),
        ("P; client_max_window_bits", true, false, None),
        ("P; client_max_window_bits=9", true, false, None),
        // zlib has no window that is as small as what might be requested.
        ("P; client_max_window_bits=8", false, false, None),
        ("P; server_no_context_takeover", false, true, None),
        ("P; server_max_window_bits=9", false, false, Some(9)),
        (
            "permessage-DEFLATE; Server_Max_Window_Bits=\"15\"; client_max_window_bits",
            true,
            false,
            Some(15),
        ),
    ] {
        let offer = offer(text).unwrap();
        // Clients have to obey whether they say so or not (§7.1.1.2).
        assert!(offer.accept_no_context_takeover());
        assert_eq!(offer.accept_max_window_bits(), max, "{text}");
        assert_eq!(offer.request_no_context_takeover(), takeover, "{text}");
        assert_eq!(offer.request_max_window_bits(), bits, "{text}");
    }
    for text in [
        "foo",
        "P; foo",
        "P; server_no_context_takeover=1",
        "P; client_no_context_takeover=1",
        "P; client_no_context_takeover; client_no_context_takeover",
        "P; server_max_window_bits",
        "P; server_max_window_bits=8",
        "P; server_max_window_bits=16",
        "P; server_max_window_bits=010",
        "P; client_max_window_bits=7",
        "P; client_max_window_bits; client_max_window_bits=9",
    ] {
        offer(text).unwrap_err();
    }
}

#[test]
fn answers_echo_the_offer_and_add_what_the_server_requests() {
    let all = "P; client_max_window_bits; server_no_context_takeover; server_max_window_bits=12";
    let request = accept(all)
        .with_request_no_context_takeover(true)
        .unwrap()
        .with_request_max_window_bits(10)
        .unwrap();
    // What this end does besides is not told.
    let own = accept("P")
        .with_no_context_takeover(true)
        .unwrap()
        .with_window_bits(11)
        .unwrap();
    for (accept, expected, agreed) in [
        (accept("P"), "P", "-- 15 15"),
        (
            accept("P; client_no_context_takeover; client_max_window_bits"),
            "P",
            "-- 15 15",
        ),
        (
            accept(all),
            "P; server_no_context_takeover; server_max_window_bits=12",
            "s- 12 15",
        ),
        (
            request,
            "P; server_no_context_takeover; server_max_window_bits=12; \
             client_no_context_takeover; client_max_window_bits=10",
            "sc 12 10",
        ),
        (
            request.with_window_bits(9).unwrap(),
            "P; server_no_context_takeover; server_max_window_bits=12; \
             client_no_context_takeover; client_max_window_bits=10",
            "sc 9 10",
        ),
        (own, "P", "s- 11 15"),
    ] {
        let (parameters, answer) = negotiate::answer_with(&accept);
        assert_eq!(answer.to_string(), accept.to_string());
        assert_eq!(answer.to_string().replace(P, "P"), expected);
        assert_eq!(short(parameters), agreed);
    }
}

#[test]
fn bits_out_of_range_are_refused_when_set() {
    for bits in [0, 8, 16, 255] {
        let expected = |name: &str| format!("{name} is {bits}, but must be 9 to 15");
        for (error, name) in [
            (
                PerMessageDeflateOffer::new()
                    .with_request_max_window_bits(bits)
                    .unwrap_err(),
                "request_max_window_bits",
            ),
            (
                accept("P; client_max_window_bits")
                    .with_request_max_window_bits(bits)
                    .unwrap_err(),
                "request_max_window_bits",
            ),
            (
                accept("P").with_window_bits(bits).unwrap_err(),
                "window_bits",
            ),
            (
                accepted("P").with_window_bits(bits).unwrap_err(),
                "window_bits",
            ),
        ] {
            assert_eq!(error.to_string(), expected(name));
        }
    }
    for level in [0, 10] {
        let expected = format!("mem_level is {level}, but must be 1 to 9");
        let error = accept("P").with_mem_level(level).unwrap_err();
        assert_eq!(error.to_string(), expected);
        let error = accepted("P").with_mem_level(level).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = accept("P").with_max_message_size(0).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("max_message_size is 0, but must be 1 to ")
    );
    accepted("P").with_max_message_size(0).unwrap_err();
    for bits in 9..=15 {
        PerMessageDeflateOffer::new()
            .with_request_max_window_bits(bits)
            .unwrap();
    }
}

#[test]
fn accepts_keep_to_the_offer() {
    let error = accept("P").with_request_max_window_bits(10).unwrap_err();
    assert_eq!(
        error.to_string(),
        "request_max_window_bits cannot be requested, since the client does not offer \
         client_max_window_bits"
    );
    accept("P").with_request_max_window_bits(None).unwrap();
    accept("P; client_max_window_bits=8")
        .with_request_max_window_bits(9)
        .unwrap_err();
    let limited = accept("P; client_max_window_bits=11");
    let error = limited.with_request_max_window_bits(12).unwrap_err();
    assert_eq!(
        error.to_string(),
        "request_max_window_bits is 12, but must be 9 to 11"
    );
    limited.with_request_max_window_bits(11).unwrap();
    let silent = PerMessageDeflateOffer::new().with_accept_no_context_takeover(false);
    let silent = PerMessageDeflateOfferAccept::new(&silent);
    let error = silent.with_request_no_context_takeover(true).unwrap_err();
    assert!(matches!(error, PerMessageDeflateError::NotOffered { .. }));
    silent.with_request_no_context_takeover(false).unwrap();
    // What the client requests cannot be denied.
    let asked = accept("P; server_no_context_takeover; server_max_window_bits=10");
    let error = asked.with_no_context_takeover(false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no_context_takeover is false, but must be true, since the peer asks for \
         server_no_context_takeover"
    );
    asked.with_no_context_takeover(true).unwrap();
    asked.with_no_context_takeover(None).unwrap();
    let error = asked.with_window_bits(11).unwrap_err();
    assert_eq!(error.to_string(), "window_bits is 11, but must be 9 to 10");
    asked.with_window_bits(10).unwrap();
    accept("P").with_no_context_takeover(false).unwrap();
}

#[test]
fn responses_are_read_and_accepted() {
    let all = "P; server_no_context_takeover; server_max_window_bits=8; \
               client_no_context_takeover; client_max_window_bits=10";
    assert_eq!(response(all).unwrap().to_string().replace(P, "P"), all);
    for (accept, agreed) in [
        (accepted("P"), "-- 15 15"),
        (accepted(all), "sc 8 10"),
        (accepted(all).with_window_bits(9).unwrap(), "sc 8 9"),
        (accepted("P").with_window_bits(9).unwrap(), "-- 15 9"),
        (
            accepted("P").with_no_context_takeover(true).unwrap(),
            "-c 15 15",
        ),
        (
            accepted("P").with_no_context_takeover(false).unwrap(),
            "-- 15 15",
        ),
        (accepted("P; client_max_window_bits=8"), "-- 15 8"),
    ] {
        assert_eq!(short(negotiate::accept_with(&accept)), agreed);
    }
    let error = accepted(all).with_no_context_takeover(false).unwrap_err();
    assert!(matches!(error, PerMessageDeflateError::Demanded { .. }));
    let error = accepted(all).with_window_bits(11).unwrap_err();
    assert_eq!(error.to_string(), "window_bits is 11, but must be 9 to 10");
    accepted("P; client_max_window_bits=8")
        .with_window_bits(9)
        .unwrap_err();
    for text in [
        "foo",
        "P; foo",
        "P; client_max_window_bits",
        "P; client_max_window_bits=16",
        "P; server_max_window_bits",
        "P; server_no_context_takeover; server_no_context_takeover",
    ] {
        response(text).unwrap_err();
    }
}

#[test]
fn values_that_were_set_are_returned() {
    let accept = accept("P; client_max_window_bits")
        .with_request_no_context_takeover(true)
        .and_then(|accept| accept.with_request_max_window_bits(10))
        .and_then(|accept| accept.with_no_context_takeover(true))
        .and_then(|accept| accept.with_window_bits(11))
        .and_then(|accept| accept.with_mem_level(4))
        .and_then(|accept| accept.with_max_message_size(1000))
        .unwrap();
    assert!(accept.request_no_context_takeover());
    assert_eq!(accept.request_max_window_bits(), Some(10));
    assert_eq!(accept.no_context_takeover(), Some(true));
    assert_eq!(
        (accept.window_bits(), accept.mem_level()),
        (Some(11), Some(4))
    );
    assert_eq!(accept.max_message_size(), Some(1000));
    assert!(accept.offer().accept_max_window_bits());
    let accept = accepted("P; client_max_window_bits=12")
        .with_mem_level(3)
        .unwrap();
    assert_eq!(
        (accept.no_context_takeover(), accept.mem_level()),
        (None, Some(3))
    );
    assert_eq!(accept.response().client_max_window_bits(), Some(12));
}

#[test]
fn options_with_closures_are_cloned_compared_and_printed() {
    let options = ServerOptions::default().per_message_compression_accept(|offers| {
        offers.first().map(PerMessageDeflateOfferAccept::new)
    });
    assert_eq!(options, options.clone());
    assert_ne!(options, ServerOptions::default());
    let again = ServerOptions::default().per_message_compression_accept(|offers| {
        offers.first().map(PerMessageDeflateOfferAccept::new)
    });
    assert_ne!(options, again, "another closure");
    assert!(format!("{options:?}").contains("per_message_compression_accept"));
    let client = ClientOptions::default()
        .per_message_compression_offers([PerMessageDeflateOffer::new()])
        .per_message_compression_accept(|response| {
            Some(PerMessageDeflateResponseAccept::new(response))
        });
    assert_eq!(client, client.clone());
    assert!(client.validate().is_ok() && options.validate().is_ok());
}

#[test]
fn a_limit_of_compressed_messages_is_at_least_1() {
    let none = DeflateOptions::default().max_message_size(0);
    let error = none.validate().unwrap_err();
    assert_eq!(
        error.to_string(),
        "option max_message_size is 0, but must be at least 1, or None"
    );
    assert!(none.max_message_size(1).validate().is_ok());
    assert!(none.max_message_size(None).validate().is_ok());
}
