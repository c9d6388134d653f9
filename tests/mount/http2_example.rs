//! The example of a thousand WebSockets over one TCP connection, from our client to our server.

use crate::world::{soon, until};
use motorway::{Identity, Roots};
use tokio::net::TcpListener;

#[expect(dead_code, reason = "main is for those who run the example")]
#[path = "../../examples/http2.rs"]
mod http2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_websockets_share_one_connection_with_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(&certificate, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "wss://localhost:{}/ws",
        listener.local_addr().unwrap().port()
    );
    let factory = http2::factory();
    let listening = tokio::spawn(http2::listen(listener, identity, factory.clone()));
    let roots = Roots::from_pem(&certificate).unwrap();
    soon(http2::talk(&url, &roots, 1000)).await.unwrap();
    let stats = factory.stats();
    assert_eq!((stats.messages_received, stats.messages_sent), (1000, 1000));
    until(|| factory.connection_count() == 0).await;
    listening.abort();
}
