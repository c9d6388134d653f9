//! Addresses to listen on, as text.

use motorway::{ListenAddress, OptionsError};
use std::net::{Ipv4Addr, SocketAddr};

#[test]
fn endpoint_strings_are_those_of_twisted() {
    let tcp = ListenAddress::tcp;
    let unix = |path: &str| ListenAddress::unix(path);
    for (text, expected) in [
        ("127.0.0.1:9000", tcp("127.0.0.1", 9000)),
        ("localhost:0", tcp("localhost", 0)),
        ("[::1]:9000", tcp("::1", 9000)),
        ("tcp:9000", tcp("0.0.0.0", 9000)),
        ("tcp:port=9000", tcp("0.0.0.0", 9000)),
        ("tcp:9000:interface=127.0.0.1", tcp("127.0.0.1", 9000)),
        ("tcp:host=localhost:port=9000", tcp("localhost", 9000)),
        ("tcp:localhost:9000", tcp("localhost", 9000)),
        ("tcp:[::1]:9000", tcp("::1", 9000)),
        ("tcp:9000:interface=[::1]", tcp("::1", 9000)),
        (r"tcp:9000:interface=\:\:1", tcp("::1", 9000)),
        ("tcp:9000:backlog=50", tcp("0.0.0.0", 9000).backlog(50)),
        ("unix:/tmp/x", unix("/tmp/x")),
        ("unix:x", unix("x")),
        ("unix:address=/tmp/x", unix("/tmp/x")),
        ("unix:/tmp/x:mode=660", unix("/tmp/x").mode(0o660)),
        (
            "unix:/tmp/x:mode=0:backlog=1",
            unix("/tmp/x").mode(0).backlog(1),
        ),
        (r"unix:/tmp/a\:b\=c", unix("/tmp/a:b=c")),
    ] {
        let parsed: ListenAddress = text.parse().unwrap();
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.to_string().parse(), Ok(parsed), "{text}");
    }
    let odd = ListenAddress::unix(r"/a:b\c=[d]").mode(0o777).backlog(7);
    assert_eq!(odd.to_string().parse(), Ok(odd));
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "9000",
        ":9000",
        "localhost",
        "localhost:",
        "localhost:65536",
        "localhost:+1",
        "local host:1",
        "ssl:9000",
        "systemd:domain=INET:index=0",
        "tcp:",
        "tcp:x",
        "tcp:-1",
        "tcp:65536",
        "tcp:interface=127.0.0.1",
        "tcp:9000:interface=",
        "tcp:9000:interface=a/b",
        "tcp:9000:port=9000",
        "tcp:9000:nonsense=1",
        "tcp:a:1:2",
        "tcp:9000:interface=[::1",
        "tcp:9000\\",
        "unix:",
        "unix:/x:mode=8",
        "unix:/x:mode=1000",
        "unix:/x:/y",
        "unix:/x:port=1",
        "[::1:9000",
        "[x]:9000",
    ] {
        let error = text.parse::<ListenAddress>().unwrap_err();
        assert_eq!(error.option(), "listen", "{text}");
    }
}

#[test]
fn addresses_are_made_of_what_users_have() {
    let expected = ListenAddress::tcp("127.0.0.1", 80);
    let found: Result<ListenAddress, OptionsError> = ("127.0.0.1", 80).try_into();
    assert_eq!(found, Ok(expected.clone()));
    assert_eq!(ListenAddress::from(([127, 0, 0, 1], 80)), expected);
    assert_eq!(ListenAddress::from((Ipv4Addr::LOCALHOST, 80)), expected);
    let address = SocketAddr::from(([127, 0, 0, 1], 80));
    assert_eq!(ListenAddress::from(address), expected);
    assert_eq!(ListenAddress::try_from(&address.to_string()), Ok(expected));
    let six: SocketAddr = "[::1]:80".parse().unwrap();
    assert_eq!(ListenAddress::from(six).to_string(), "tcp:[::1]:80");
    assert_eq!(ListenAddress::from(six).port(), Some(80));
    assert!(ListenAddress::unix("/x").path().is_some());
}
