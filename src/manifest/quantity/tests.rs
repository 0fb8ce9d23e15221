//! Quantities as the API server reads, prints, compares and adds them.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    let mut quantity = Quantity::parse(text).unwrap();
    quantity.round_up_to_milli();
    quantity.to_string()
}

#[test]
fn the_server_prints_them_back_like_this() {
    for (read, printed) in [
        ("0", "0"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("1.500", "1.500"),
        ("1.000", "1"),
        ("1u", "1m"),
        ("1n", "1m"),
        ("0.0005", "1m"),
        ("1024Mi", "1Gi"),
        ("100Mi", "100Mi"),
        ("1.5Gi", "1536Mi"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("0.5Mi", "512Ki"),
        ("1000Ki", "1000Ki"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("1234567", "1234567"),
        ("100m", "100m"),
        ("1e3", "1e3"),
        ("12E6", "12E6"),
        ("1000e3", "1e6"),
        ("5e-1", "500e-3"),
        ("+5", "+5"),
        ("05", "05"),
        ("-1", "-1"),
        ("-0.0001", "-1m"),
        (" 2 ", "2"),
        ("9Ei", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("12345678901234567890", "12345678901234567890"),
        (".", "0"),
        ("m", "0"),
        ("0.1Ki", "102400m"),
    ] {
        assert_eq!(shown(read), printed, "{read}");
    }
    assert_eq!(Quantity::parse("0.0001").unwrap().to_string(), "100u");
}

#[test]
fn what_is_not_a_quantity_says_why() {
    for (text, error) in [
        ("", QuantityError::Form),
        ("64MB", QuantityError::Form),
        ("1gb", QuantityError::Form),
        ("0,5", QuantityError::Form),
        ("2 Gi", QuantityError::Form),
        ("1cpu", QuantityError::Form),
        ("1K", QuantityError::Suffix),
        ("1KM", QuantityError::Suffix),
        ("1e", QuantityError::Suffix),
        ("1ee3", QuantityError::Suffix),
        ("1.2.3", QuantityError::Form),
    ] {
        assert_eq!(Quantity::parse(text), Err(error), "{text}");
    }
    assert!(Quantity::parse(&"9".repeat(1_000_000)).is_err());
    assert!(Quantity::parse(&format!("0.{}1", "0".repeat(1_000_000))).is_ok());
    assert_eq!(Quantity::parse("1e99999999999").unwrap().value(), i64::MAX);
}

#[test]
fn worth_in_whole_and_thousandths() {
    let of = |text| Quantity::parse(text).unwrap();
    assert_eq!(of("100m").value(), 1);
    assert_eq!(of("-100m").value(), -1);
    assert_eq!(of("1500m").milli_value(), 1500);
    assert_eq!(of("1.5Gi").value(), 3 << 29);
    assert_eq!(of("8Ei").value(), i64::MAX);
    assert_eq!(of("8E").milli_value(), i64::MAX);
    assert_eq!(of("1Gi"), of("1024Mi"));
    assert!(of("1Gi") > of("1G"));
    assert!(of("-2") < of("-1"));
    assert!(of("1e30") > of("1e29") && of("1e-30") > Quantity::ZERO);
    assert_eq!(of("100m").add(&of("1")).to_string(), "1100m");
    assert_eq!(of("64Mi").add(&of("64Mi")).to_string(), "128Mi");
    assert!(!of("100m").is_integer() && of("1k").is_integer());
}

proptest! {
    #[test]
    fn printing_and_reading_keep_the_worth(mantissa in any::<i64>(), fraction in "[0-9]{0,9}", suffix in prop::sample::select(
        vec!["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2", "e0"])) {
        let text = if fraction.is_empty() { format!("{mantissa}{suffix}") } else { format!("{mantissa}.{fraction}{suffix}") };
        let read = Quantity::parse(&text).unwrap();
        let again = Quantity::parse(&read.to_string()).unwrap();
        prop_assert_eq!(&read, &again);
        prop_assert_eq!(read.to_string(), again.to_string());
    }

    #[test]
    fn order_is_that_of_the_numbers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
        let (x, y) = (Quantity::parse(&format!("{a}m")).unwrap(), Quantity::parse(&format!("{b}e-3")).unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x.milli_value(), a);
        prop_assert_eq!(x.add(&y).milli_value(), a + b);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[+-]?[0-9.]{0,60}[eEinumkKMGTP]{0,3}[+-]?[0-9]{0,12}") {
        if let Ok(mut quantity) = Quantity::parse(&text) {
            quantity.round_up_to_milli();
            let _ = (quantity.to_string(), quantity.value(), quantity.milli_value(), quantity.add(&quantity));
        }
    }
}
