//! Whom a TLS client trusts: the public roots, and those that the config adds. The crypto
//! provider is given, never taken from the process.

use std::io;
use std::sync::Arc;

use rustls::ProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::BuildError;
use crate::config::Trust;
use crate::render::Phrase;

/// A client configuration for `trust`; which name to expect is the caller's to say.
pub(super) fn client_config(trust: &Trust) -> Result<rustls::ClientConfig, BuildError> {
    let mut roots =
        rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = &trust.ca_pem {
        add(&mut roots, pem).map_err(BuildError::Roots)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn add(roots: &mut rustls::RootCertStore, pem: &str) -> Result<(), String> {
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        added += 1;
    }
    if added == 0 {
        Err("no CERTIFICATE block".to_owned())
    } else {
        Ok(())
    }
}

/// What is wrong with the server's certificate, if a handshake failed for that.
pub(super) fn distrust(error: &io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(tls, rustls::Error::InvalidCertificate(_)).then(|| tls.to_string())
}

/// What to do about a certificate that does not hold.
pub(super) const RENEW: Phrase = Phrase::fixed(
    "renew the certificate, or name its authority in tls_config.ca_file",
    "请更新证书，或在 tls_config.ca_file 中指定其签发机构",
);

/// A handshake that came to its end, as people read it: no other kind of certificate is accepted.
pub(super) fn shown(version: Option<ProtocolVersion>, name: &str) -> String {
    let version = match version {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        Some(_) | None => "of an unknown version",
    };
    format!("{version}, with a valid certificate for {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_cannot_be_read_is_refused() {
        for pem in [
            "",
            "not pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let trust = Trust {
                ca_pem: Some(pem.into()),
                server_name: None,
            };
            assert!(client_config(&trust).is_err(), "{pem:?}");
        }
        assert!(client_config(&Trust::default()).is_ok());
    }
}
