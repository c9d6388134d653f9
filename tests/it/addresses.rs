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
        ("ssl:9000", tcp("0.0.0.0", 9000).secure()),
        ("tls:[::1]:9000", tcp("::1", 9000).secure()),
        (
            "ssl:port=9000:privateKey=key.pem:certKey=cert.pem",
            tcp("0.0.0.0", 9000).tls_files("cert.pem", "key.pem"),
        ),
        (
            "ssl:443:interface=127.0.0.1:privateKey=both.pem",
            tcp("127.0.0.1", 443).tls_files("both.pem", "both.pem"),
        ),
        (
            r"ssl:443:privateKey=C\:/k.pem:certKey=a\\b",
            tcp("0.0.0.0", 443).tls_files(r"a\b", "C:/k.pem"),
        ),
        (
            "unix:/x:mode=600:privateKey=k:certKey=c",
            unix("/x").mode(0o600).tls_files("c", "k"),
        ),
        ("unix:/x:tls=yes", unix("/x").secure()),
        ("tcp:9000:tls=no", tcp("0.0.0.0", 9000).plain()),
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
        "ssl:",
        "ssl:9000:certKey=chain.pem",
        "ssl:9000:privateKey=",
        "ssl:9000:privateKey=a:privateKey=b",
        "ssl:9000:tls=no",
        "tcp:9000:tls=maybe",
        "tcp:9000:tls=no:privateKey=a",
        "systemd:domain=INET:index=0",
        "fd:3",
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

#[test]
fn sockets_of_other_processes_are_refused_with_a_reason() {
    for text in ["systemd:domain=INET:index=0", "fd:3"] {
        let error = text.parse::<ListenAddress>().unwrap_err();
        assert!(error.to_string().contains("listen_on"), "{error}");
    }
}
