//! Offers and answers of extensions (RFC 6455 §9.1, RFC 7692 §7.1).

use motorway::DeflateOptions;
use motorway::extension::deflate::{DeflateParameters, negotiate};
use motorway::extension::{NegotiationError, Offer};

const P: &str = "permessage-deflate";

fn options() -> DeflateOptions {
    DeflateOptions::default()
}

/// Answers a header; `P` stands for the name of the extension.
fn answer(header: &str, options: &DeflateOptions) -> Option<(DeflateParameters, String)> {
    let offers = Offer::parse_list(&header.replace('P', P)).unwrap();
    let (agreed, response) = negotiate::answer(&offers, options)?;
    Some((agreed, response.to_string().replace(P, "P")))
}

#[test]
fn lists_are_parsed_and_printed() {
    for (text, printed) in [
        ("a", "a"),
        ("a, b", "a|b"),
        ("a,b;c", "a|b; c"),
        (" a ; b = c ;\td ", "a; b=c; d"),
        ("a; b=\"c\"", "a; b=c"),
        ("a; b=\"\\c\\d\"; e", "a; b=cd; e"),
        (",a,,b,", "a|b"),
        ("a; b; b=1", "a; b; b=1"),
        ("x!#$%&'*+-.^_`|~9", "x!#$%&'*+-.^_`|~9"),
    ] {
        let offers = Offer::parse_list(text).unwrap();
        let texts: Vec<_> = offers.iter().map(ToString::to_string).collect();
        assert_eq!(texts.join("|"), printed, "{text}");
    }
}

#[test]
fn malformed_lists_are_refused() {
    for (text, position) in [
        ("", 0),
        (" ", 1),
        (",", 1),
        ("a b", 2),
        ("a;", 2),
        ("a; ;b", 3),
        ("a;=1", 2),
        ("a; b=", 5),
        ("a; b=,", 5),
        ("a; b=\"\"", 7),
        ("a; b=\"c d\"", 10),
        ("a; b=\"c", 7),
        ("a; b=\"c\\", 8),
        ("a; b=\"c\"d", 8),
        ("a/b", 1),
        ("ä", 0),
        ("a; b=\"ä\"", 9),
        ("\"a\"", 0),
    ] {
        let error = Offer::parse_list(text).unwrap_err();
        let expected = format!("malformed list of extensions at octet {position}");
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn long_lists_take_linear_time() {
    for piece in ["a,", "a;b;", "a; b=\"", ", ", "\\"] {
        Offer::parse_list(&piece.repeat(1 << 20)).ok();
    }
}

fn assert_answers(rows: &[(&str, &str)], options: &DeflateOptions) {
    for (header, expected) in rows {
        let (_, response) = answer(header, options).unwrap();
        assert_eq!(response, *expected, "{header}");
    }
}

#[test]
fn server_answers_what_is_offered() {
    let rows = [
        ("P", "P"),
        ("permessage-DEFLATE", "P"),
        ("P; client_max_window_bits", "P"),
        (
            "P; client_max_window_bits=15",
            "P; client_max_window_bits=15",
        ),
        ("P; client_max_window_bits=8", "P; client_max_window_bits=8"),
        (
            "P; client_max_window_bits=\"10\"",
            "P; client_max_window_bits=10",
        ),
        (
            "P; server_max_window_bits=10",
            "P; server_max_window_bits=10",
        ),
        (
            "P; server_max_window_bits=15",
            "P; server_max_window_bits=15",
        ),
        (
            "P; server_no_context_takeover",
            "P; server_no_context_takeover",
        ),
        (
            "P; client_no_context_takeover",
            "P; client_no_context_takeover",
        ),
    ];
    assert_answers(&rows, &options());
}

#[test]
fn server_answers_the_first_valid_offer() {
    let rows = [
        ("foo, P", "P"),
        (
            "P; foo, P; server_max_window_bits=12, P; server_max_window_bits=10",
            "P; server_max_window_bits=12",
        ),
        ("P; server_max_window_bits=8, P", "P"),
        (
            "P; a, P; b, P; server_no_context_takeover",
            "P; server_no_context_takeover",
        ),
    ];
    assert_answers(&rows, &options());
}

#[test]
fn server_answers_by_its_options() {
    let rows = [
        ("P", "P; server_max_window_bits=10"),
        (
            "P; server_max_window_bits=12",
            "P; server_max_window_bits=10",
        ),
        ("P; server_max_window_bits=9", "P; server_max_window_bits=9"),
    ];
    assert_answers(&rows, &options().server_max_window_bits(10));
    let rows = [
        ("P", "P"),
        ("P; client_max_window_bits", "P; client_max_window_bits=10"),
        (
            "P; client_max_window_bits=12",
            "P; client_max_window_bits=10",
        ),
        ("P; client_max_window_bits=9", "P; client_max_window_bits=9"),
    ];
    assert_answers(&rows, &options().client_max_window_bits(10));
    let none = options()
        .server_no_context_takeover(true)
        .client_no_context_takeover(true);
    let rows = [(
        "P",
        "P; server_no_context_takeover; client_no_context_takeover",
    )];
    assert_answers(&rows, &none);
}

#[test]
fn server_reports_what_is_agreed() {
    let header = "P; server_no_context_takeover; client_max_window_bits=8; \
        server_max_window_bits=10";
    let (agreed, _) = answer(header, &options()).unwrap();
    let expected = DeflateParameters {
        server_no_context_takeover: true,
        client_no_context_takeover: false,
        server_max_window_bits: 10,
        client_max_window_bits: 8,
    };
    assert_eq!(agreed, expected);
    // A client that offers nothing may use the largest window, whatever we would like.
    let (agreed, _) = answer("P", &options().client_max_window_bits(10)).unwrap();
    assert_eq!(agreed.client_max_window_bits, 15);
}

#[test]
fn server_declines_invalid_offers() {
    for header in [
        "foo",
        "P; foo",
        "P; foo=1",
        "P; server_no_context_takeover=1",
        "P; client_no_context_takeover=true",
        "P; server_no_context_takeover; server_no_context_takeover",
        "P; client_no_context_takeover; client_no_context_takeover",
        "P; server_max_window_bits",
        "P; server_max_window_bits=7",
        "P; server_max_window_bits=8",
        "P; server_max_window_bits=16",
        "P; server_max_window_bits=09",
        "P; server_max_window_bits=+9",
        "P; server_max_window_bits=9x",
        "P; server_max_window_bits=265",
        "P; server_max_window_bits=10; server_max_window_bits=10",
        "P; client_max_window_bits=7",
        "P; client_max_window_bits=16",
        "P; client_max_window_bits=010",
        "P; client_max_window_bits; client_max_window_bits",
        "P; client_max_window_bits; Client_Max_Window_Bits=10",
    ] {
        assert_eq!(answer(header, &options()), None, "{header}");
    }
}

#[test]
fn client_offers() {
    for (options, expected) in [
        (options(), "P; client_max_window_bits"),
        (
            options()
                .server_no_context_takeover(true)
                .server_max_window_bits(10),
            "P; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits",
        ),
        (
            options()
                .client_no_context_takeover(true)
                .client_max_window_bits(9),
            "P; client_no_context_takeover; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(
            negotiate::offer(&options).to_string().replace(P, "P"),
            expected
        );
    }
}

/// Accepts an answer; says in short what is agreed: takeovers denied, bits of server and client.
fn accept(response: &str, options: &DeflateOptions) -> Result<String, NegotiationError> {
    let offers = Offer::parse_list(&response.replace('P', P)).unwrap();
    let agreed = negotiate::accept(&offers[0], options)?;
    Ok(format!(
        "{}{} {} {}",
        if agreed.server_no_context_takeover {
            "s"
        } else {
            "-"
        },
        if agreed.client_no_context_takeover {
            "c"
        } else {
            "-"
        },
        agreed.server_max_window_bits,
        agreed.client_max_window_bits,
    ))
}

#[test]
fn client_accepts() {
    let c10 = options().client_max_window_bits(10);
    let s10 = options().server_max_window_bits(10);
    let own = options().client_no_context_takeover(true);
    for (response, options, expected) in [
        ("P", options(), "-- 15 15"),
        ("P; server_no_context_takeover", options(), "s- 15 15"),
        ("P; client_no_context_takeover", options(), "-c 15 15"),
        ("P; server_max_window_bits=8", options(), "-- 8 15"),
        ("P; server_max_window_bits=12", options(), "-- 12 15"),
        ("P; client_max_window_bits=8", options(), "-- 15 8"),
        ("P; client_max_window_bits=9", c10, "-- 15 9"),
        ("P", c10, "-- 15 10"),
        ("P; server_max_window_bits=10", s10, "-- 10 15"),
        ("P", own, "-c 15 15"),
    ] {
        assert_eq!(accept(response, &options).unwrap(), expected, "{response}");
    }
}

#[test]
fn client_refuses_what_was_not_offered() {
    let c10 = options().client_max_window_bits(10);
    let s10 = options().server_max_window_bits(10);
    let none = options().server_no_context_takeover(true);
    for (response, options, expected) in [
        ("foo", options(), "extension was not offered"),
        ("P; foo", options(), "unknown parameter"),
        (
            "P; client_max_window_bits",
            options(),
            "parameter client_max_window_bits has a value that is not allowed",
        ),
        (
            "P; client_max_window_bits=16",
            options(),
            "parameter client_max_window_bits has a value that is not allowed",
        ),
        (
            "P; client_max_window_bits=11",
            c10,
            "parameter client_max_window_bits is 11, but was offered as at most 10",
        ),
        (
            "P; server_max_window_bits=11",
            s10,
            "parameter server_max_window_bits is 11, but was offered as at most 10",
        ),
        (
            "P",
            s10,
            "parameter server_max_window_bits was asked for and is missing",
        ),
        (
            "P",
            none,
            "parameter server_no_context_takeover was asked for and is missing",
        ),
        (
            "P; server_no_context_takeover; server_no_context_takeover",
            none,
            "parameter server_no_context_takeover comes more than once",
        ),
        (
            "P; client_no_context_takeover=1",
            options(),
            "parameter client_no_context_takeover has a value that is not allowed",
        ),
    ] {
        let error = accept(response, &options).unwrap_err();
        assert_eq!(error.to_string(), expected, "{response}");
    }
}

#[test]
fn both_sides_agree() {
    let bits = 9..=15;
    for (server_bits, client_bits) in bits.clone().flat_map(|s| bits.clone().map(move |c| (s, c))) {
        let server = options()
            .server_max_window_bits(12)
            .client_max_window_bits(11);
        let client = options()
            .server_max_window_bits(server_bits)
            .client_max_window_bits(client_bits);
        let (at_server, response) =
            negotiate::answer(&[negotiate::offer(&client)], &server).unwrap();
        let at_client = negotiate::accept(&response, &client).unwrap();
        assert_eq!(at_server, at_client, "{client:?}");
    }
}
