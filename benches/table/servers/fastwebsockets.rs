//! fastwebsockets.

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use table::{Result, serve};
use tokio::net::TcpStream;
use tokio::task::unconstrained;

async fn echo(upgrade: UpgradeFut) -> std::result::Result<(), WebSocketError> {
    let mut ws = upgrade.await?;
    ws.set_max_message_size(1 << 30);
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn connection(stream: TcpStream) {
    let service = service_fn(async |mut request| {
        let (response, upgraded) = upgrade(&mut request)?;
        tokio::spawn(unconstrained(async { drop(echo(upgraded).await) }));
        Ok::<_, WebSocketError>(response)
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(serving.with_upgrades().await);
}

fn main() -> Result<()> {
    let (port, _) = serve::arguments()?;
    serve::serve(port, connection)
}
