//! Messages received as the type that is wanted.

use crate::stream::{open, open_on};
use crate::wire::{Wire, within};
use motorway::{ClientOptions, Error};

#[tokio::test(start_paused = true)]
async fn text_is_received_of_whatever_is_utf8() {
    let (mut ws, mut peer) = open().await;
    peer.send_all(&[
        Wire::text("één"),
        Wire::binary("deux"),
        Wire::binary(b"\xff\x00"),
        Wire::text("trois"),
        Wire::close(1000, ""),
    ])
    .await;
    for expected in ["één", "deux"] {
        assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), expected);
    }
    // What cannot be text is not lost, and neither is what follows.
    let Error::NotUtf8(payload) = within(ws.recv_text()).await.unwrap_err() else {
        panic!("not the fault of the message");
    };
    assert_eq!(&*payload, b"\xff\x00");
    assert_eq!(within(ws.recv_text()).await.unwrap().unwrap(), "trois");
    assert_eq!(peer.frame().await.code(), 1000);
    drop(peer);
    assert!(within(ws.recv_text()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn octets_are_received_of_whatever_comes() {
    for validate in [true, false] {
        let (ours, theirs) = tokio::io::duplex(4096);
        let options = ClientOptions::default().utf8_validate_incoming(validate);
        let (mut ws, mut peer) = open_on(ours, theirs, options).await;
        peer.send_all(&[Wire::text("één"), Wire::binary(b"\xff")])
            .await;
        assert_eq!(within(ws.recv_bytes()).await.unwrap().unwrap(), "één");
        assert_eq!(
            &within(ws.recv_bytes()).await.unwrap().unwrap()[..],
            b"\xff"
        );
        peer.send(Wire::new(motorway::frame::Opcode::Text, b"\xff"))
            .await;
        match within(ws.recv_bytes()).await {
            Ok(octets) => assert_eq!(&octets.unwrap()[..], b"\xff"),
            Err(error) => assert!(validate && matches!(error, Error::Protocol(_)), "{error}"),
        }
    }
}
