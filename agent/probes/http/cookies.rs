//! Cookies that a server sets while it sends us on: without them, a login goes in circles (RFC 6265).

use hyper::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

use super::url::Url;

/// The most cookies that are kept.
const COOKIES: usize = 16;

/// The longest that one may be, in bytes.
const LENGTH: usize = 4 << 10;

/// The cookies of one check. Each goes back to the very host that has set it.
#[derive(Default)]
pub(super) struct Cookies(Vec<Cookie>);

struct Cookie {
    host: String,
    /// Whether it goes over TLS only.
    secure: bool,
    name: String,
    value: String,
}

impl Cookies {
    /// Takes those that an answer at `url` sets.
    pub(super) fn take(&mut self, url: &Url, headers: &HeaderMap) {
        for text in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let mut parts = text.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let (name, value) = (name.trim(), value.trim());
            self.0.retain(|known| (known.host.as_str(), known.name.as_str()) != (&*url.host, name));
            if name.is_empty() || text.len() > LENGTH || self.0.len() == COOKIES {
                continue;
            }
            let secure = parts.any(|part| part.eq_ignore_ascii_case("secure"));
            self.0.push(Cookie { host: url.host.clone(), secure, name: name.to_owned(), value: value.to_owned() });
        }
    }

    /// Writes those that belong to `url` behind what is there.
    pub(super) fn put(&self, url: &Url, headers: &mut HeaderMap) {
        let theirs = self.0.iter().filter(|cookie| cookie.host == url.host && (url.secure || !cookie.secure));
        let pairs: Vec<String> = theirs.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if pairs.is_empty() {
            return;
        }
        let configured = headers.get(COOKIE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = configured.into_iter().chain(pairs).collect::<Vec<_>>().join("; ");
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_back_to_whom_it_is_from() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let set = |cookies: &mut Cookies, from: &str, text: &str| {
            cookies.take(&url(from), &HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_str(text).unwrap())]));
        };
        let sent = |cookies: &Cookies, to: &str| {
            let mut headers = HeaderMap::new();
            cookies.put(&url(to), &mut headers);
            headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
        };
        let mut cookies = Cookies::default();
        set(&mut cookies, "https://shop/login", "a=1; Path=/; HttpOnly");
        set(&mut cookies, "https://shop/login", "b=2; Secure");
        set(&mut cookies, "https://shop/login", "a=3");
        set(&mut cookies, "https://shop/login", "nothing");
        assert_eq!(sent(&cookies, "https://shop/"), Some("b=2; a=3".to_owned()));
        assert_eq!(sent(&cookies, "http://shop/"), Some("a=3".to_owned()));
        assert_eq!(sent(&cookies, "https://other/"), None);
        for number in 0..100 {
            set(&mut cookies, "https://shop/login", &format!("c{number}=x"));
        }
        assert_eq!(cookies.0.len(), COOKIES);
    }
}
