//! A server of HTTP/2 that does what a test tells it, and clients of it.

use crate::wire::{Wire, within};
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use motorway::frame::{Header, Opcode, Rsv};
use motorway::{Connector, Http2Connection, WebSocketStream};
use std::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The server's end of one connection; dropped, it ends with what is told by then.
pub(crate) struct Server {
    requests: mpsc::UnboundedReceiver<Asked>,
    goodbye: Option<oneshot::Sender<Goodbye>>,
    task: JoinHandle<Result<(), h2::Error>>,
}

/// How a server goes.
pub(crate) enum Goodbye {
    /// GOAWAY, but what is open goes on.
    Graceful,
    /// GOAWAY at once, with this code.
    Abrupt(Reason),
    /// TCP ends without a word.
    Cut,
}

/// A request that waits for its answer.
pub(crate) struct Asked {
    pub(crate) request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

/// A server with WebSockets, as they are by default.
pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_connect_protocol()
        .initial_connection_window_size(1 << 30);
    builder
}

impl Server {
    pub(crate) fn start<S>(builder: Builder, stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (asked, requests) = mpsc::unbounded_channel();
        let (goodbye, told) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connection = builder.handshake(stream).await?;
            let mut told = Some(told);
            loop {
                let accepted = match &mut told {
                    Some(goodbye) => tokio::select! {
                        accepted = connection.accept() => accepted,
                        how = goodbye => {
                            told = None;
                            match how {
                                Ok(Goodbye::Graceful) => connection.graceful_shutdown(),
                                Ok(Goodbye::Abrupt(reason)) => connection.abrupt_shutdown(reason),
                                Ok(Goodbye::Cut) => return Ok(()),
                                Err(_) => {}
                            }
                            continue;
                        }
                    },
                    None => connection.accept().await,
                };
                let Some(accepted) = accepted else {
                    return finish(connection).await;
                };
                let (request, respond) = accepted?;
                let _ = asked.send(Asked { request, respond });
            }
        });
        Self {
            requests,
            goodbye: Some(goodbye),
            task,
        }
    }

    pub(crate) async fn asked(&mut self) -> Asked {
        within(self.requests.recv()).await.expect("a request")
    }

    /// Tells whether a request waits.
    pub(crate) fn was_asked(&mut self) -> Option<Asked> {
        self.requests.try_recv().ok()
    }

    /// Takes the next request.
    pub(crate) async fn accept(&mut self) -> Channel {
        self.asked().await.open()
    }

    pub(crate) fn go(&mut self, how: Goodbye) {
        let goodbye = self.goodbye.take().expect("goodbye is said once");
        assert!(goodbye.send(how).is_ok(), "the server has gone");
    }

    /// Waits until the connection has ended.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        within(self.task).await.expect("no panic")
    }
}

async fn finish<S>(mut connection: Connection<S, Bytes>) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|context| connection.poll_closed(context)).await
}

impl Asked {
    /// Answers with 200.
    pub(crate) fn open(self) -> Channel {
        self.answer(Response::new(()))
    }

    /// Answers with a head, behind which the stream stays open.
    pub(crate) fn answer(mut self, response: Response<()>) -> Channel {
        let outflow = self.respond.send_response(response, false).unwrap();
        Channel {
            outflow,
            body: self.request.into_body(),
            buffer: Vec::new(),
        }
    }

    pub(crate) fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Answers with a status and a body.
    pub(crate) fn refuse(mut self, response: Response<&'static str>) {
        let (parts, body) = response.into_parts();
        let head = Response::from_parts(parts, ());
        let mut outflow = self.respond.send_response(head, body.is_empty()).unwrap();
        if !body.is_empty() {
            outflow
                .send_data(Bytes::from_static(body.as_bytes()), true)
                .unwrap();
        }
    }

    /// The reason with which the client gives up the request.
    pub(crate) async fn given_up(&mut self) -> Reason {
        let reset = poll_fn(|context| self.respond.poll_reset(context));
        within(reset).await.unwrap()
    }
}

/// What a server reads on a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Frame(Wire),
    /// END_STREAM.
    End,
    Reset(Reason),
    Lost,
}

/// One stream, over which frames of WebSockets go.
pub(crate) struct Channel {
    pub(crate) outflow: SendStream<Bytes>,
    pub(crate) body: RecvStream,
    buffer: Vec<u8>,
}

impl Channel {
    pub(crate) async fn read(&mut self) -> Read {
        loop {
            if let Some(frame) = self.take_frame() {
                return Read::Frame(frame);
            }
            match within(self.body.data()).await {
                Some(Ok(octets)) => {
                    self.body
                        .flow_control()
                        .release_capacity(octets.len())
                        .unwrap();
                    self.buffer.extend_from_slice(&octets);
                }
                Some(Err(error)) if error.is_reset() => {
                    return Read::Reset(error.reason().unwrap());
                }
                Some(Err(_)) => return Read::Lost,
                None => return Read::End,
            }
        }
    }

    pub(crate) async fn frame(&mut self) -> Wire {
        match self.read().await {
            Read::Frame(frame) => frame,
            other => panic!("no frame, but {other:?}"),
        }
    }

    fn take_frame(&mut self) -> Option<Wire> {
        let (header, length) = Header::decode(&self.buffer).expect("a valid frame")?;
        let end = length + usize::try_from(header.length).unwrap();
        if self.buffer.len() < end {
            return None;
        }
        let mut payload = self.buffer[length..end].to_vec();
        self.buffer.drain(..end);
        let mask = header.mask.expect("clients mask");
        motorway::frame::apply(mask, 0, &mut payload);
        Some(Wire {
            fin: header.fin,
            rsv1: header.rsv == Rsv::RSV1,
            opcode: header.opcode,
            masked: false,
            payload,
        })
    }

    pub(crate) async fn send(&mut self, frame: Wire) {
        self.write(frame.encode()).await.unwrap();
    }

    /// Writes as the client gives room.
    pub(crate) async fn write(&mut self, octets: Vec<u8>) -> Result<(), h2::Error> {
        let mut octets = Bytes::from(octets);
        while !octets.is_empty() {
            self.outflow.reserve_capacity(octets.len());
            let room = poll_fn(|context| self.outflow.poll_capacity(context)).await;
            let Some(room) = room.transpose()? else {
                return Err(Reason::CANCEL.into());
            };
            let now = octets.split_to(room.min(octets.len()));
            self.outflow.send_data(now, false)?;
        }
        Ok(())
    }

    /// Reads what a client says that drops its WebSocket.
    pub(crate) async fn left(&mut self) {
        assert_eq!(self.frame().await.code(), 1001);
        assert_eq!(self.read().await, Read::Reset(Reason::CANCEL));
    }

    /// Sends END_STREAM.
    pub(crate) fn end(&mut self) {
        self.outflow.send_data(Bytes::new(), true).unwrap();
    }

    pub(crate) fn reset(mut self, reason: Reason) {
        self.outflow.send_reset(reason);
    }

    /// Sends back what comes until the client closes, then closes as a server should.
    pub(crate) async fn echo(mut self) {
        loop {
            match self.read().await {
                Read::Frame(frame) if frame.opcode == Opcode::Close => {
                    self.send(frame).await;
                    self.end();
                    assert_eq!(self.read().await, Read::End);
                    return;
                }
                Read::Frame(frame) => self.send(frame).await,
                _ => return,
            }
        }
    }
}

/// Answers all requests with 200 and echoes; returns a connection to it.
pub(crate) fn echoes(mut server: Server) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(asked) = server.requests.recv().await {
            tokio::spawn(asked.open().echo());
        }
    })
}

pub(crate) const URL: &str = "ws://server.example.com/chat";

/// A connection in memory to a server of one's own.
pub(crate) async fn pair(builder: Builder) -> (Connector, Http2Connection, Server) {
    let connector = Connector::new(URL).unwrap();
    let (http2, server) = connected(&connector, builder).await;
    (connector, http2, server)
}

pub(crate) async fn connected(
    connector: &Connector,
    builder: Builder,
) -> (Http2Connection, Server) {
    let (near, far) = duplex();
    let server = Server::start(builder, far);
    let http2 = within(connector.connect_http2_stream(near)).await.unwrap();
    (http2, server)
}

pub(crate) fn duplex() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 << 10)
}

/// Opens a WebSocket at both ends.
pub(crate) async fn open(
    connector: &Connector,
    http2: &Http2Connection,
    server: &mut Server,
) -> (WebSocketStream, Channel) {
    let accepting = async { server.asked().await.open() };
    let (ws, channel) = tokio::join!(within(connector.connect_over(http2)), accepting);
    (ws.unwrap(), channel)
}

pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}
