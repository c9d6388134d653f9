//! Protocols that run through a connection, between two ends of this crate.

use crate::streams::Choppy;
use crate::wire::within;
use motorway::{
    ClientOptions, Connector, DeflateOptions, Error, HandlerResult, ServerOptions, WebSocketIo,
    WebSocketServerFactory, WebSocketStream,
};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

type Options = (ServerOptions, ClientOptions);

/// What connections may differ in: subprotocols, compression, fragments.
fn variants() -> Vec<Options> {
    let mut variants = vec![(ServerOptions::default(), ClientOptions::default())];
    for protocol in ["binary", "base64"] {
        let server = ServerOptions::default().protocols(["binary", "base64"]);
        let client = ClientOptions::default().protocols([protocol]);
        variants.push((server.clone(), client.clone()));
        let server = server
            .per_message_deflate(DeflateOptions::default())
            .auto_fragment_size(1000);
        let client = client
            .per_message_deflate(DeflateOptions::no_context())
            .auto_fragment_size(700);
        variants.push((server, client));
    }
    variants
}

/// Runs this handler at the other end of the stream that is returned.
async fn through<F>(
    (server, client): Options,
    handler: impl Fn(WebSocketIo) -> F + Send + Sync + 'static,
) -> WebSocketIo
where
    F: Future<Output = HandlerResult> + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let mut factory =
        WebSocketServerFactory::from_handler(move |ws: WebSocketStream| handler(ws.into_io()));
    factory.set_protocol_options(server).unwrap();
    tokio::spawn(factory.serve_stream(theirs));
    let mut connector = Connector::new("ws://localhost/").unwrap();
    connector.set_protocol_options(client).unwrap();
    connector.connect_stream(ours).await.unwrap().into_io()
}

/// Counts the characters of each line, until `QUIT`.
async fn count_lines<S>(stream: S) -> std::io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 && line != "QUIT\r\n" {
        let answer = format!("{}\r\n", line.trim_end().len());
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    stream.shutdown().await
}

async fn converse(io: &mut WebSocketIo) {
    for size in [0, 1, 100, 20_000, 3, 100_000] {
        let line = format!("{}\r\n", "x".repeat(size));
        io.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(io.read_line(&mut answer)).await.unwrap();
        assert_eq!(answer, format!("{size}\r\n"));
    }
    io.write_all(b"QUIT\r\n").await.unwrap();
    assert_eq!(within(io.read(&mut [0])).await.unwrap(), 0);
    assert!(io.stream().close_info().unwrap().is_ok());
}

#[tokio::test]
async fn lines_run_through_it() {
    for options in variants() {
        let mut io = through(options, |io| async move { Ok(count_lines(io).await?) }).await;
        converse(&mut io).await;
    }
}

// What a server of websockify does.
#[tokio::test]
async fn a_service_of_tcp_is_reached_through_it() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = service.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = service.accept().await {
            tokio::spawn(count_lines(stream));
        }
    });
    for options in variants() {
        let mut io = through(options, move |mut io| async move {
            let mut service = TcpStream::connect(address).await?;
            copy_bidirectional(&mut io, &mut service).await?;
            Ok(())
        })
        .await;
        converse(&mut io).await;
    }
}

/// Octets that repeat late only.
fn octets(count: u32) -> Vec<u8> {
    let words = (0..count / 4).map(|n| n.wrapping_mul(2_654_435_761));
    words.flat_map(u32::to_le_bytes).collect()
}

#[tokio::test]
async fn ten_megabytes_go_both_ways_at_once() {
    // Compressed in small pieces it takes long where nothing is optimized.
    let sizes = [10_000_000, 10_000_000, 1_000_000, 10_000_000, 1_000_000];
    for (options, size) in variants().into_iter().zip(sizes) {
        let sent = Arc::new(octets(size));
        let theirs = Arc::clone(&sent);
        let io = through(options, move |io| {
            let sent = Arc::clone(&theirs);
            async move {
                let (mut reader, mut writer) = tokio::io::split(io);
                let mut received = vec![0; sent.len()];
                let (read, written) =
                    tokio::join!(reader.read_exact(&mut received), writer.write_all(&sent));
                written?;
                assert!(read? == sent.len() && received == *sent);
                writer.flush().await?;
                // The other end shuts down.
                assert_eq!(reader.read(&mut [0]).await?, 0);
                Ok(())
            }
        })
        .await;
        let (mut reader, mut writer) = tokio::io::split(io);
        let mut received = vec![0; sent.len()];
        let (read, written) = within(async {
            tokio::join!(reader.read_exact(&mut received), writer.write_all(&sent))
        })
        .await;
        written.unwrap();
        assert!(read.unwrap() == sent.len() && received == *sent);
        within(writer.shutdown()).await.unwrap();
        let io = reader.unsplit(writer);
        assert!(io.stream().close_info().unwrap().is_ok());
    }
}

// What is read by one end is written by the other before it closes, whoever is slow.
#[tokio::test]
async fn nothing_is_missing_at_the_end_of_a_download() {
    for options in variants() {
        let io = through(options, |mut io| async move {
            io.write_all(&octets(3_000_000)).await?;
            Ok(io.shutdown().await?)
        })
        .await;
        let mut io = Choppy { inner: io, seed: 7 };
        let mut received = Vec::new();
        within(io.read_to_end(&mut received)).await.unwrap();
        assert!(received == octets(3_000_000));
    }
}

#[tokio::test]
async fn a_handler_that_fails_is_no_end_of_what_it_sends() {
    let options = (ServerOptions::default(), ClientOptions::default());
    let mut io = through(options, |mut io| async move {
        io.write_all(b"half of").await?;
        Err(std::io::Error::other("disk").into())
    })
    .await;
    let mut received = Vec::new();
    let error = within(io.read_to_end(&mut received)).await.unwrap_err();
    assert_eq!(received, b"half of");
    let inside: &Error = error.get_ref().unwrap().downcast_ref().unwrap();
    let Error::Closed(info) = inside else {
        panic!("{inside:?}")
    };
    assert_eq!(info.code, motorway::CloseCode::INTERNAL_ERROR);
}

// Copying that is given up half-way closes the connection with the stream, and nothing hangs.
#[tokio::test]
async fn copying_may_be_given_up() {
    let started = Arc::new(Notify::new());
    let starts = Arc::clone(&started);
    let options = (ServerOptions::default(), ClientOptions::default());
    let mut io = through(options, move |mut io| {
        let starts = Arc::clone(&starts);
        async move {
            let (mut pipe, _other) = tokio::io::duplex(100);
            let copying = copy_bidirectional(&mut io, &mut pipe);
            tokio::select! {
                copied = copying => panic!("{copied:?}"),
                () = starts.notified() => Ok(()),
            }
        }
    })
    .await;
    io.write_all(&octets(200_000)).await.unwrap();
    started.notify_one();
    assert_eq!(within(io.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_runs_through_a_connection() {
    for options in variants() {
        let io = through(options, |io| async move {
            let echo = |mut ws: WebSocketStream| async move {
                while let Some(message) = ws.recv().await? {
                    ws.send(message).await?;
                }
                Ok(())
            };
            let inner = WebSocketServerFactory::from_handler(echo);
            assert!(inner.serve_stream(io).await?.is_ok());
            Ok(())
        })
        .await;
        let mut inner = Connector::new("ws://localhost/inner").unwrap();
        inner
            .set_protocol_options(ClientOptions::default())
            .unwrap();
        let mut inner = within(inner.connect_stream(io)).await.unwrap();
        for size in [0, 10, 50_000, 1_000_000] {
            inner.send(vec![5; size]).await.unwrap();
            let message = within(inner.recv()).await.unwrap().unwrap();
            assert_eq!(message.len(), size);
        }
        assert!(within(inner.close(1000, "")).await.unwrap().is_ok());
    }
}
