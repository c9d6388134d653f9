//! The closing handshake as a state machine (RFC 6455 §7.1).
//!
//! | state           | a close frame is sent | a close frame is received | the connection fails |
//! |-----------------|-----------------------|---------------------------|----------------------|
//! | `Open`          | `CloseSent`           | `CloseReceived`           | `Failed`             |
//! | `CloseSent`     | –                     | `Complete`                | `Failed`             |
//! | `CloseReceived` | `Complete`            | –                         | `Failed`             |
//! | `Complete`      | –                     | –                         | –                    |
//! | `Failed`        | –                     | –                         | –                    |
//!
//! This is the only file that assigns a state. It does not know which role it plays.

/// How far the closing handshake has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Messages go both ways.
    #[default]
    Open,
    /// Our close frame is out; the peer's is awaited.
    CloseSent,
    /// The peer's close frame is in; ours is not out yet.
    CloseReceived,
    /// Both close frames have been exchanged: the closing handshake is done.
    Complete,
    /// The connection has failed (§7.1.7); nothing more is sent or received.
    Failed,
}

/// What moves a connection from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    SendClose,
    ReceiveClose,
    Fail,
}

impl State {
    /// Tells whether messages may be sent.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::Open
    }

    /// Tells whether nothing but the end of TCP is left to happen.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// Makes a transition; one that the table does not have changes nothing.
    pub(super) fn apply(&mut self, transition: Transition) {
        *self = match (*self, transition) {
            (Self::Open, Transition::SendClose) => Self::CloseSent,
            (Self::Open, Transition::ReceiveClose) => Self::CloseReceived,
            (Self::CloseSent, Transition::ReceiveClose)
            | (Self::CloseReceived, Transition::SendClose) => Self::Complete,
            (Self::Open | Self::CloseSent | Self::CloseReceived, Transition::Fail) => Self::Failed,
            (state, _) => state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Transition};

    #[test]
    fn the_handshake_completes_whoever_begins() {
        for order in [
            [Transition::SendClose, Transition::ReceiveClose],
            [Transition::ReceiveClose, Transition::SendClose],
        ] {
            let mut state = State::Open;
            order.into_iter().for_each(|step| state.apply(step));
            assert_eq!(state, State::Complete);
        }
    }

    #[test]
    fn the_end_is_final() {
        for end in [State::Complete, State::Failed] {
            for step in [
                Transition::SendClose,
                Transition::ReceiveClose,
                Transition::Fail,
            ] {
                let mut state = end;
                state.apply(step);
                assert_eq!(state, end);
            }
        }
    }

    #[test]
    fn a_second_close_changes_nothing() {
        let mut state = State::CloseSent;
        state.apply(Transition::SendClose);
        assert_eq!(state, State::CloseSent);
    }
}
