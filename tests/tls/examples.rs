//! The examples, as their users run them.

use crate::process::{Running, example, output};
use crate::world::{Told, dial};
use motorway::{ClientTls, Roots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[test]
fn a_secure_client_is_greeted_by_a_secure_server() {
    let file = format!("motorway-localhost-{}.pem", std::process::id());
    let file = std::env::temp_dir().join(file);
    let mut server = example("secure_server");
    let server = Running::start(server.arg("127.0.0.1:0").arg(&file));
    let port = server.find("listening on 127.0.0.1:");

    let url = format!("wss://localhost:{port}");
    let text = output(example("secure_client").arg(url).arg(&file).arg("Ada"));
    assert!(text.starts_with("> Ada\n< Hello Ada!\n"), "{text}");
    assert_eq!(server.line(), "< Ada");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn echo_tls_echoes() {
    let text = output(&mut example("echo_tls"));
    assert!(text.contains("received \"Hello, world!\"\n"), "{text}");
}

#[tokio::test]
async fn echo_site_serves_its_page_and_echoes_on_one_port() {
    let file = format!("motorway-site-{}.pem", std::process::id());
    let file = std::env::temp_dir().join(file);
    let mut site = example("echo_site");
    let site = Running::start(site.arg("127.0.0.1:0").arg(&file));
    let port = site.find("open https://localhost:");
    let port: u16 = port.trim_end_matches('/').parse().unwrap();
    let tls = ClientTls::new(&Roots::from_pem_file(&file).unwrap()).unwrap();
    std::fs::remove_file(file).unwrap();

    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = tls.connect("localhost", stream).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("</html>\n"));

    let url = format!("wss://localhost:{port}/");
    let mut client = dial(&url, tls).await.unwrap();
    client.ws.send("hello").await.unwrap();
    assert!(matches!(client.next().await, Told::Text(text) if text == "hello"));
    #[cfg(target_os = "linux")]
    assert!(site.interrupt());
}
