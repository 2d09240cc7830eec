//! The typed face of `sys/wrapping`.

use super::Session;
use crate::types::{Code, Error, Object, Operation, Path, Request, Response, Result, Ttl, Value, WrapInfo};

/// Replies that are kept behind a token, each of which gives its own back once.
#[derive(Debug)]
pub struct Wrapping<'s> {
    session: &'s Session,
}

/// What is known of a wrapping token without unwrapping it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WrappingInfo {
    /// How long it lasts from its creation.
    pub creation_ttl: Ttl,
    /// When it was made (RFC 3339).
    pub creation_time: String,
    /// The path of the request whose reply it holds.
    pub creation_path: String,
}

impl<'s> Wrapping<'s> {
    pub(super) fn new(session: &'s Session) -> Self {
        Wrapping { session }
    }

    /// Puts any data behind a wrapping token that lasts for `ttl`, at most 768 hours.
    ///
    /// # Errors
    /// `InvalidRequest` when the time is zero or too long.
    pub fn wrap(&self, data: Object, ttl: Ttl) -> Result<WrapInfo> {
        self.request(Operation::Write, "sys/wrapping/wrap", Some(data.into()), ttl)
    }

    /// Carries out a request whose reply is put behind a wrapping token: this is all that comes back.
    ///
    /// # Errors
    /// Any class; `InvalidRequest` when the time is zero. A reply without content is not wrapped: `NotFound`, though the request was carried out.
    pub fn request(&self, operation: Operation, path: &str, data: Option<Value>, ttl: Ttl) -> Result<WrapInfo> {
        if ttl == Ttl::ZERO {
            return Err(Error::new(Code::InvalidRequest, "say for how long the reply is to be wrapped"));
        }
        let request = Request { data, ..Request::new(operation, Path::parse(path)?) };
        let response = self.session.handle(request.with_wrap_ttl(ttl)).into_result()?;
        response.wrap_info.ok_or_else(|| Error::new(Code::NotFound, "the request was carried out, and its reply has nothing to wrap"))
    }

    /// What is known of a wrapping token.
    ///
    /// # Errors
    /// `InvalidRequest` when it was used, has expired, or never was.
    pub fn lookup(&self, token: &str) -> Result<WrappingInfo> {
        let data = self.ask("lookup", token)?.data.unwrap_or(Value::Null);
        let text = |name| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let creation_ttl = Ttl::from_secs(data.get("creation_ttl").and_then(Value::as_u64).unwrap_or_default());
        Ok(WrappingInfo { creation_ttl, creation_time: text("creation_time"), creation_path: text("creation_path") })
    }

    /// The same content behind a new token; the old one is worth nothing from then on.
    ///
    /// # Errors
    /// As [`Wrapping::lookup`].
    pub fn rewrap(&self, token: &str) -> Result<WrapInfo> {
        self.ask("rewrap", token)?.wrap_info.ok_or_else(|| Error::new(Code::Internal, "a token was wrapped anew and not answered"))
    }

    /// What a wrapping token holds. It comes out once, whoever asks.
    ///
    /// # Errors
    /// As [`Wrapping::lookup`].
    pub fn unwrap(&self, token: &str) -> Result<Response> {
        self.ask("unwrap", token)
    }

    fn ask(&self, verb: &str, token: &str) -> Result<Response> {
        self.session.request(Operation::Write, &format!("sys/wrapping/{verb}"), Some(Object::new().with("token", token).into()))
    }
}
