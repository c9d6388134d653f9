//! Clients behind proxies.

use crate::peer::read_request;
use motorway::blocking::Connector;
use motorway::handshake::tunnel::{SocksReply, TunnelError};
use motorway::{ClientOptions, ConnectError, Error};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

fn connect(proxy: String) -> Error {
    let options = ClientOptions::default().proxy(proxy);
    let connector = Connector::new("ws://server.invalid:81/").unwrap();
    connector.options(options).connect().unwrap_err()
}

#[test]
fn a_tunnel_leads_to_the_server_and_nothing_behind_the_answer_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://ada:secret@{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = String::from_utf8(read_request(&mut stream)).unwrap();
        assert!(
            asked.starts_with("CONNECT server.invalid:81 HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(asked.contains("\r\nProxy-Authorization: Basic YWRhOnNlY3JldA==\r\n"));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 418 Tea")
            .unwrap();
        assert!(read_request(&mut stream).starts_with(b"GET / HTTP/1.1\r\n"));
        stream
            .write_all(b"pot\r\nContent-Length: 3\r\n\r\ntea")
            .unwrap();
    });
    let error = connect(proxy);
    assert_eq!(error.status().unwrap(), 418);
    assert_eq!(error.body().unwrap().text(), "tea");
    serving.join().unwrap();
}

#[test]
fn refusals_of_proxies_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        for answers in [
            &[&b"\x05\x00"[..], b"\x05\x05"][..],
            &[b"HTTP/1.1 407 Who\r\n\r\n"],
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                stream.write_all(answer).unwrap();
            }
        }
    });
    for scheme in ["socks5h", "http"] {
        let Error::Connect(error) = connect(format!("{scheme}://{address}")) else {
            panic!("not an error of connecting");
        };
        let ConnectError::Tunnel { source, .. } = *error else {
            panic!("{error:?}");
        };
        match source {
            TunnelError::Socks(reply) => assert_eq!(reply, SocksReply::ConnectionRefused),
            TunnelError::Refused { status, .. } => assert_eq!(status, 407),
            error => panic!("{error:?}"),
        }
    }
    serving.join().unwrap();
    let Error::Connect(error) = connect(format!("http://{address}")) else {
        panic!("not an error of connecting");
    };
    assert!(
        matches!(*error, ConnectError::ProxyUnreachable { .. }),
        "{error:?}"
    );
    #[cfg(not(feature = "rustls"))]
    {
        let error = connect(format!("https://{address}"));
        assert!(matches!(error, Error::TlsUnsupported), "{error:?}");
    }
}
