//! Where an answer sends us on to, and what is asked there (RFC 9110, section 15.4).

use hyper::header::{HeaderMap, LOCATION};
use hyper::{Method, StatusCode};

use super::url::{NoUrl, Url};
use crate::link::shown;
use crate::probes::failure::{ProbeError, Reason};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) url: Url,
    /// Whether it is asked for, whatever was asked before, and nothing is sent along.
    pub(super) get: bool,
}

/// Where an answer at `url` sends on to; nothing where it is the last one.
///
/// # Errors
/// [`Reason::Redirect`], where nobody should go there.
pub(super) fn next(
    url: &Url,
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Next>, ProbeError> {
    let get = match status.as_u16() {
        301..=303 => *method != Method::GET && *method != Method::HEAD,
        307 | 308 => false,
        _ => return Ok(None),
    };
    let Some(location) = headers.get(LOCATION).map(|location| location.as_bytes()).filter(|to| !to.is_empty()) else {
        return Ok(None);
    };
    let no = |why: String| {
        let message = format!("{url} answers {status} and redirects to {why}");
        Err(ProbeError::new(Reason::Redirect, message))
    };
    // What is longer than a URL may be is refused there.
    match url.join(String::from_utf8_lossy(location).trim()) {
        Ok(next) => Ok(Some(Next { url: next, get })),
        Err(NoUrl::Scheme(scheme)) => no(format!("a URL of {}:, where no check goes", shown(scheme.as_bytes()))),
        Err(NoUrl::User) => no("a URL with a user and a password, which is not followed".to_owned()),
        Err(NoUrl::Garbage(_)) => no(format!("{:?}, which is no URL", shown(location))),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn from_post(status: u16, location: &str) -> Result<Option<(String, bool)>, String> {
        let url: Url = "http://shop/a/b".parse().unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).unwrap())]);
        let next = next(&url, &Method::POST, StatusCode::from_u16(status).unwrap(), &headers);
        next.map(|next| next.map(|next| (next.url.to_string(), next.get))).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_posted_is_posted_again_only_where_that_is_said() {
        let to = |get| Ok(Some(("http://shop/a/c".to_owned(), get)));
        for status in [301, 302, 303] {
            assert_eq!(from_post(status, "c"), to(true));
        }
        assert_eq!((from_post(307, "c"), from_post(308, "c")), (to(false), to(false)));
        assert_eq!((from_post(200, "c"), from_post(304, "c"), from_post(301, "")), (Ok(None), Ok(None), Ok(None)));
    }

    #[test]
    fn nobody_goes_to_another_scheme() {
        for location in ["file:///etc/passwd", "gopher://x", "//me:secret@x/", "http://", "javascript:1"] {
            let error = from_post(302, location).unwrap_err();
            assert!(error.contains("redirects to") && !error.contains("secret"), "{error}");
        }
    }
}
