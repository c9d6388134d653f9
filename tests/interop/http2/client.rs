//! The client that servers of HTTP/2 are tried with, beside the conversation: `interop_http2 CHECK
//! URL [CA]`. Ends with 0 and prints `done` if everything was as it must be.

use futures_util::future::{join_all, try_join_all};
use motorway::{
    ClientOptions, ClientTls, CloseCode, Connector, Error, HandshakeError, Http2Connection,
    Http2Error, Message, Roots, WebSocketStream,
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Where the server is, and whom to believe.
struct Place {
    url: String,
    ca: Option<String>,
}

impl Place {
    fn connector(&self, path: &str) -> Outcome<Connector> {
        let mut connector = Connector::new(format!("{}{path}", self.url))?;
        connector.set_protocol_options(ClientOptions::default().protocols(["chat"]))?;
        if let Some(ca) = &self.ca {
            connector.set_tls(ClientTls::new(&Roots::from_pem_file(ca)?)?);
        }
        Ok(connector)
    }

    async fn connect(&self) -> Outcome<Http2Connection> {
        Ok(timeout(PATIENCE, self.connector("/")?.connect_http2()).await??)
    }

    async fn open(&self, http2: &Http2Connection, path: &str) -> Outcome<WebSocketStream> {
        let connector = self.connector(path)?;
        Ok(timeout(PATIENCE, connector.connect_over(http2)).await??)
    }

    /// Tells why a connection is not made.
    async fn fault(&self, http2: &Http2Connection, path: &str) -> Outcome<Error> {
        let connector = self.connector(path)?;
        let opened = timeout(PATIENCE, connector.connect_over(http2)).await?;
        opened.err().ok_or("it was accepted".into())
    }
}

async fn echo(ws: &mut WebSocketStream, message: impl Into<Message<'static>>) -> Outcome {
    let message = message.into();
    ws.send(message.clone()).await?;
    let answer = timeout(PATIENCE, ws.recv()).await??;
    expect(answer.as_ref() == Some(&message), "the echo differs")
}

async fn close(mut ws: WebSocketStream, code: u16, reason: &'static str) -> Outcome {
    timeout(PATIENCE, ws.close(CloseCode::from(code), reason)).await??;
    ended(&mut ws, code).await
}

/// Waits for the end, which has this code.
async fn ended(ws: &mut WebSocketStream, code: u16) -> Outcome {
    let info = timeout(PATIENCE, ws.handle().closed()).await?;
    expect(info.code.as_u16() == code, &format!("closed with {info:?}"))
}

fn expect(claim: bool, text: &str) -> Outcome {
    claim.then_some(()).ok_or_else(|| text.into())
}

async fn many(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    let opening = (0..50).map(|_| place.open(&http2, "/"));
    let mut all = try_join_all(opening).await?;
    for turn in 0..10 {
        let asking = all.iter_mut().enumerate();
        let asking = asking.map(|(i, ws)| echo(ws, format!("{turn} of {i}")));
        try_join_all(asking).await?;
    }
    let large = all.iter_mut().zip(0..);
    try_join_all(large.map(|(ws, i)| echo(ws, vec![i; 100_000]))).await?;
    let closing = all.into_iter().zip(3000..);
    try_join_all(closing.map(|(ws, code)| close(ws, code, "bye"))).await?;
    Ok(())
}

/// The server closes.
async fn told(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    let mut all = try_join_all((0..10).map(|_| place.open(&http2, "/"))).await?;
    let telling = all.iter_mut().map(|ws| async move {
        ws.send("!close").await?;
        while timeout(PATIENCE, ws.recv()).await??.is_some() {}
        ended(ws, 4001).await
    });
    try_join_all(telling).await?;
    Ok(())
}

/// One that the server does not read, and that is not read here either when the server does; the
/// others know nothing of it.
async fn paused(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    let slow = place.open(&http2, "/slow").await?;
    let mut other = place.open(&http2, "/").await?;
    let (mut reader, writer) = slow.into_split();
    let sending = tokio::spawn(async move {
        for turn in 0..16 {
            writer.send(vec![turn; 1 << 20]).await?;
        }
        Ok::<_, Error>(writer)
    });
    for turn in 0..5 {
        echo(&mut other, vec![turn; 1 << 20]).await?;
        sleep(Duration::from_millis(200)).await;
    }
    expect(!sending.is_finished(), "nobody was pushed back")?;
    let mut third = place.open(&http2, "/wake").await?;
    for turn in 0..5 {
        echo(&mut third, vec![turn; 1 << 20]).await?;
        sleep(Duration::from_millis(200)).await;
    }
    for turn in 0..16 {
        let message = timeout(PATIENCE, reader.recv()).await??;
        let message = message.ok_or("the slow one ended")?;
        expect(
            message.as_bytes() == vec![turn; 1 << 20],
            "the slow one got something else",
        )?;
    }
    let mut writer = sending.await??;
    timeout(PATIENCE, writer.close(CloseCode::from(4000), "from client")).await??;
    Ok(())
}

async fn refusals(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    for (path, wanted) in [("/denied", 403), ("/missing", 404)] {
        let error = place.fault(&http2, path).await?;
        match &error {
            Error::Handshake(fault) => match &**fault {
                HandshakeError::Refused { status, body, .. } if *status == wanted => {
                    println!("refused {wanted} {}", body.text().trim());
                }
                _ => return Err(error.into()),
            },
            _ => return Err(error.into()),
        }
    }
    let mut good = place.open(&http2, "/").await?;
    echo(&mut good, "and yet").await?;
    close(good, 4000, "from client").await
}

/// RST_STREAM in place of an answer, and on a connection that is open.
async fn reset(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    let mut other = place.open(&http2, "/").await?;
    match place.fault(&http2, "/reset").await? {
        Error::Http2(fault) => {
            let refused = matches!(*fault, Http2Error::Reset { code: 7, .. });
            expect(refused, &format!("not REFUSED_STREAM, but {fault}"))?;
        }
        error => return Err(error.into()),
    }
    let mut gone = place.open(&http2, "/gone").await?;
    gone.send("go").await?;
    ended(&mut gone, 1006).await?;
    echo(&mut other, "still here").await?;
    close(other, 4000, "from client").await
}

/// After GOAWAY what is open goes on, and there is nothing new.
async fn goaway(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    let mut old = place.open(&http2, "/goaway").await?;
    echo(&mut old, "before").await?;
    old.send("go").await?;
    while http2.is_open() {
        sleep(Duration::from_millis(10)).await;
    }
    echo(&mut old, "after").await?;
    match place.fault(&http2, "/").await? {
        Error::Http2(fault) if matches!(*fault, Http2Error::NotOpen { .. }) => {}
        error => return Err(error.into()),
    }
    close(old, 4000, "from client").await
}

/// The server ends TCP.
async fn lost(place: &Place) -> Outcome {
    let http2 = place.connect().await?;
    let mut all = try_join_all((0..3).map(|_| place.open(&http2, "/lost"))).await?;
    try_join_all(all.iter_mut().map(|ws| echo(ws, "before"))).await?;
    if let Some(first) = all.first() {
        first.send("go").await?;
    }
    let ends = join_all(all.iter_mut().map(|ws| ended(ws, 1006))).await;
    ends.into_iter().collect::<Outcome>()?;
    expect(!http2.is_open(), "the connection is open")
}

/// Prints why there is no connection.
async fn none(place: &Place) -> Outcome {
    match place.connector("/")?.connect_http2().await {
        Ok(_) => Err("there is a connection".into()),
        Err(error) => {
            println!("none: {error:?}");
            Ok(())
        }
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    let check = words.next().ok_or("which check?")?;
    let url = words.next().ok_or("which url?")?;
    let place = Place {
        url,
        ca: words.next(),
    };
    match check.as_str() {
        "many" => many(&place).await,
        "told" => told(&place).await,
        "paused" => paused(&place).await,
        "refusals" => refusals(&place).await,
        "reset" => reset(&place).await,
        "goaway" => goaway(&place).await,
        "lost" => lost(&place).await,
        "none" => none(&place).await,
        _ => Err("there is no such check".into()),
    }?;
    println!("done {check}");
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(30);
