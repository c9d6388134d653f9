//! What the options say about a socket of TCP, told to the system.

use crate::options::CommonOptions;
use socket2::{SockRef, TcpKeepalive};
use std::io;

/// Sets a connected socket up as the options say.
///
/// `TCP_USER_TIMEOUT` is of Linux; elsewhere it is left out.
pub(crate) fn set_up(socket: &SockRef<'_>, options: &CommonOptions) -> io::Result<()> {
    if options.tcp_no_delay {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(time) = options.tcp_keepalive {
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(time);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if options.tcp_user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.tcp_user_timeout)?;
    }
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::options::ServerOptions;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn connected() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    }

    #[test]
    fn the_socket_has_what_the_options_say() {
        let options = ServerOptions::default()
            .tcp_keepalive(Duration::from_secs(47))
            .tcp_user_timeout(Duration::from_millis(12_345))
            .common;
        let stream = connected();
        let socket = SockRef::from(&stream);
        set_up(&socket, &options).unwrap();
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        let time = Duration::from_secs(47);
        assert_eq!(socket.tcp_keepalive_time().unwrap(), time);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), time);
        let time = Some(Duration::from_millis(12_345));
        assert_eq!(socket.tcp_user_timeout().unwrap(), time);
    }

    #[test]
    fn what_is_off_is_left_to_the_system() {
        let stream = connected();
        let socket = SockRef::from(&stream);
        let options = ServerOptions::default().tcp_no_delay(false).common;
        set_up(&socket, &options).unwrap();
        assert!(!socket.tcp_nodelay().unwrap() && !socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }

    #[test]
    fn the_system_takes_all_that_the_options_do() {
        let options = ServerOptions::default();
        let day = Duration::from_secs(24 * 60 * 60);
        for (keepalive, user) in [
            (Duration::from_secs(1), Duration::from_millis(1)),
            (Duration::from_secs(32_767), 24 * day),
        ] {
            let options = options.clone().tcp_keepalive(keepalive);
            let options = options.tcp_user_timeout(user);
            options.validate().unwrap();
            let stream = connected();
            set_up(&SockRef::from(&stream), &options.common).unwrap();
            let set = SockRef::from(&stream).tcp_user_timeout().unwrap();
            assert_eq!(set, Some(user));
        }
    }
}
