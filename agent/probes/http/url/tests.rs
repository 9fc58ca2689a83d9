//! URLs that are good, those that are none, and where references lead.

use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn a_url_is_told_as_it_is_asked() {
    for (written, asked) in [
        ("http://Shop.Example", "http://shop.example/"),
        ("HTTPS://shop:443/a?b=c#d", "https://shop/a?b=c"),
        ("http://shop:8080?x", "http://shop:8080/?x"),
        ("https://[::1]:9844/metrics", "https://[::1]:9844/metrics"),
        ("http://192.0.2.1:/é {}", "http://192.0.2.1/%C3%A9%20%7B%7D"),
    ] {
        assert_eq!(url(written).to_string(), asked);
    }
    assert_eq!((url("https://x").port, url("http://[0::1]").host), (443, "::1".to_owned()));
}

#[test]
fn what_is_no_url_is_refused() {
    for text in [
        "",
        "shop",
        "shop:80",
        "http:/x",
        "http://",
        "http://:80/",
        "http://a b/",
        "http://ä/",
        "http://x:0/",
        "http://x:65536/",
        "http://x:+80",
        "http://[x]/",
        "http://[::1]x/",
        "http://[fe80::1%25eth0]/",
    ] {
        assert!(text.parse::<Url>().is_err(), "{text:?}");
    }
    assert_eq!("file:///etc/passwd".parse::<Url>(), Err(NoUrl::Scheme("file".into())));
    assert_eq!("http://me:secret@x/".parse::<Url>(), Err(NoUrl::User));
    assert!(format!("http://x/{}", "é".repeat(3000)).parse::<Url>().is_err());
}

/// Examples of RFC 3986, section 5.4.
#[test]
fn references_lead_where_the_rfc_says() {
    let base = url("http://a/b/c/d;p?q");
    for (reference, leads_to) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("./g/.", "http://a/b/c/g/"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("https://b", "https://b/"),
    ] {
        assert_eq!(base.join(reference).unwrap().to_string(), leads_to, "{reference}");
    }
    assert_eq!(base.join("file:///etc/passwd"), Err(NoUrl::Scheme("file".into())));
    assert!(base.join("//").is_err());
}

#[test]
fn secrets_stay_with_the_host_that_they_are_for() {
    let base = url("http://shop/login");
    for (next, trusted) in [
        ("http://shop/", true),
        ("https://shop/", true),
        ("http://shop:8080/", false),
        ("https://shop:8443/", false),
        ("http://shop.evil/", false),
    ] {
        assert_eq!(base.trusts(&url(next)), trusted, "{next}");
    }
    assert!(!url("https://shop/").trusts(&url("http://shop/")));
}
