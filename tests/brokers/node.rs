//! A node of a cluster: who connects joins the topic that the path names, and publishes to it.
//!
//! ```sh
//! cargo run --features nats,redis --example cluster_node -- nats nats://localhost:4222
//! ```

use motorway::{HandlerResult, Hub, NatsBroker, RedisBroker, WebSocketStream};

async fn take_part(hub: Hub, mut ws: WebSocketStream) -> HandlerResult {
    let topic = ws.request().path().trim_start_matches('/').to_owned();
    hub.join(ws.handle(), &topic)?;
    while let Some(message) = ws.recv().await? {
        hub.publish(&topic, message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let url = arguments.next().unwrap_or_default();
    let hub = match kind.as_str() {
        "nats" => Hub::with_broker(NatsBroker::connect(url).await?),
        "redis" => Hub::with_broker(RedisBroker::connect(url).await?),
        _ => return Err("usage: cluster_node nats|redis URL".into()),
    };
    hub.on_broker(|state| println!("broker: {state:?}"));
    let state = hub.clone();
    let serving = motorway::serve_with("127.0.0.1:0", state, |ws, hub| take_part(hub, ws));
    let server = serving.await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await?;
    Ok(())
}
