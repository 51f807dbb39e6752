//! The body of an answer, as long as it is being given.

use crate::serve::patience::Answering;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body until whose last octet is handed over the request is being answered. All else is as the body says: its length
/// becomes the `Content-Length`.
#[derive(Debug)]
pub(super) struct Given {
    body: Body,
    _answering: Answering,
}

impl Given {
    pub(super) const fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl hyper::body::Body for Given {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::patience::Progress;
    use hyper::body::Body as _;

    #[test]
    fn what_is_known_of_a_body_stays_known() {
        let given = |body| Given::new(body, Progress::new().answering());
        let (none, some) = (given(Body::empty()), given(Body::from("four")));
        assert!(none.is_end_stream() && !some.is_end_stream());
        assert_eq!([none, some].map(|it| it.size_hint().exact()), [Some(0), Some(4)]);
    }
}
