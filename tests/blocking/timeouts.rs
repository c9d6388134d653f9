//! Deadlines that hold while some call waits, and that nobody suffers for between calls.

use crate::peer::{pair, read_frame};
use motorway::blocking::Received;
use motorway::connection::TimeoutKind;
use motorway::{ClientOptions, CloseCause, CloseCode, Error};
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

fn pinging() -> ClientOptions {
    ClientOptions::default()
        .auto_ping_interval(SHORT)
        .auto_ping_timeout(SHORT)
}

#[test]
fn automatic_pings_go_out_while_recv_waits() {
    let options = pinging().auto_ping_timeout(Duration::from_secs(60));
    let (mut ws, mut peer) = pair(options);
    let receiving = thread::spawn(move || ws.recv());
    for _ in 0..3 {
        let (opcode, payload) = read_frame(&mut peer);
        assert_eq!((opcode, payload.len()), (0x89, 12));
        peer.write_all(&[0x8a, 12]).unwrap();
        peer.write_all(&payload).unwrap();
    }
    peer.write_all(b"\x81\x02ok").unwrap();
    assert_eq!(receiving.join().unwrap().unwrap(), Some("ok".into()));
}

#[test]
fn peer_that_answers_no_ping_is_dropped() {
    let (mut ws, mut peer) = pair(pinging());
    let kind = TimeoutKind::AutoPing;
    assert!(matches!(ws.recv(), Err(Error::Timeout(found)) if found == kind));
    assert_eq!(read_frame(&mut peer).0, 0x89);
    assert!(matches!(
        ws.close_info().unwrap().cause,
        CloseCause::Timeout(found) if found == kind
    ));
}

#[test]
fn peer_is_not_judged_by_what_came_between_calls() {
    let timeout = 20 * SHORT;
    let options = pinging()
        .auto_ping_timeout(timeout)
        .auto_ping_restart_on_any_traffic(false);
    let (mut ws, mut peer) = pair(options);
    // Until the first ping is out.
    while ws.handle().is_open() {
        assert_eq!(
            ws.recv_timeout(Duration::from_millis(1)).unwrap(),
            Received::Nothing
        );
        peer.set_nonblocking(true).unwrap();
        let is_out = peer.peek(&mut [0]).is_ok();
        peer.set_nonblocking(false).unwrap();
        if is_out {
            break;
        }
    }
    let (_, payload) = read_frame(&mut peer);
    peer.write_all(b"\x81\x02hi\x81\x02ho").unwrap();
    peer.write_all(&[0x8a, 12]).unwrap();
    peer.write_all(&payload).unwrap();
    // Long after the answer was due.
    thread::sleep(timeout + SHORT);
    assert_eq!(ws.recv().unwrap(), Some("hi".into()));
    assert_eq!(ws.recv().unwrap(), Some("ho".into()));
    assert_eq!(ws.recv_timeout(Duration::ZERO).unwrap(), Received::Nothing);
}

#[test]
fn peer_that_takes_nothing_is_dropped() {
    let options = ClientOptions::default().write_stall_timeout(5 * SHORT);
    let (mut ws, peer) = pair(options);
    let kind = TimeoutKind::WriteStall;
    assert!(matches!(ws.send(vec![0; 60 << 20]), Err(Error::Timeout(found)) if found == kind));
    let info = ws.close(CloseCode::NORMAL, "").unwrap();
    assert!(!info.was_clean && info.unsent_octets > 0, "{info:?}");
    drop(peer);
}

#[test]
fn timeouts_are_kept() {
    let (mut ws, _peer) = pair(ClientOptions::default());
    let began = Instant::now();
    assert_eq!(ws.recv_timeout(SHORT).unwrap(), Received::Nothing);
    assert!(began.elapsed() >= SHORT);
}
