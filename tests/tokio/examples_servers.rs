//! The examples of servers run, and do what they say.

use crate::wire::{Raw, request, status};
use tokio::net::TcpStream;

#[expect(dead_code, reason = "its main is not run here")]
#[path = "../../examples/browser_time.rs"]
mod browser_time;

#[tokio::test]
async fn browser_time_serves_its_page_and_tells_the_time() {
    let server = browser_time::listen("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let mut browser = Raw::client(stream);
    browser.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&browser.head().await), 200);
    let page = String::from_utf8(browser.rest().await).unwrap();
    assert!(page.contains("new WebSocket("));
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let mut page = Raw::client(stream);
    page.write(request("")).await;
    assert_eq!(status(&page.head().await), 101);
    let mut times = Vec::new();
    for _ in 0..2 {
        let text = String::from_utf8(page.frame().await.payload).unwrap();
        times.push(text.parse::<u64>().unwrap());
    }
    assert!(times[1] > times[0]);
}
