//! TLS as libpq's words ask for it, and as a browser would. One provider of cryptography, passed by hand: two that
//! are installed for a whole process fail when they meet.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};

/// Where distributions keep the certificates that they trust.
pub(super) const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates that this host trusts, in a file; `None` where no known place has one.
pub(super) fn system_bundle() -> Option<&'static Path> {
    BUNDLES.iter().map(Path::new).find(|path| path.is_file())
}

/// Certificates to believe, in PEM.
#[derive(Debug, Clone, Copy)]
pub(super) enum Roots<'a> {
    File(&'a Path),
    Text(&'a str),
}

impl Roots<'_> {
    /// All of them, or why they cannot be read.
    fn read(self) -> Result<Vec<CertificateDer<'static>>, String> {
        let (name, read) = match self {
            Self::File(path) => {
                let read =
                    CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                (path.display().to_string(), read)
            }
            Self::Text(text) => {
                let read = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
                ("the file of certificates that the settings name".to_owned(), read)
            }
        };
        read.map_err(|error| format!("`{name}` cannot be read: {error}"))
    }
}

/// What a connection must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Only that it is encrypted.
    Nothing,
    /// A certificate that a trusted authority signed, for whatever name.
    Authority,
    /// And that it was made out for this host.
    Name,
}

/// A configuration that demands `proof` by the certificates in `roots`.
pub(super) fn config(proof: Proof, roots: Option<Roots<'_>>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let trusted = match proof {
        Proof::Nothing => None,
        Proof::Authority | Proof::Name => Some(Trusted::read(&provider, roots)?),
    };
    let verifier = Arc::new(Verifier { provider, trusted, by_name: proof == Proof::Name });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// What a browser demands.
pub(super) fn for_web() -> Result<ClientConfig, Error> {
    // A host without any trusted certificate can still ask over plain HTTP, as the probes do.
    if let Some(bundle) = system_bundle() {
        config(Proof::Name, Some(Roots::File(bundle)))
    } else {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }
}

/// Certificates that prove others, and themselves.
#[derive(Debug)]
struct Trusted {
    authorities: Arc<WebPkiServerVerifier>,
    /// A server's own certificate may stand in the file in place of an authority's.
    exact: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn read(provider: &Arc<CryptoProvider>, roots: Option<Roots<'_>>) -> Result<Self, Error> {
        let none = || Error::General("this host has no file of trusted certificates".to_owned());
        let exact = roots.ok_or_else(none)?.read().map_err(Error::General)?;
        let mut store = RootCertStore::empty();
        // A bundle may hold certificates of a kind that rustls does not know.
        store.add_parsable_certificates(exact.iter().cloned());
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
        let authorities = authorities.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { authorities, exact })
    }
}

/// libpq's three degrees. The signature of the handshake is checked in each: without that, a connection is not
/// even to the one who showed the certificate.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None` believes every certificate.
    trusted: Option<Trusted>,
    by_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        if trusted.exact.contains(end) {
            if self.by_name {
                verify_server_name(&ParsedCertificate::try_from(end)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match trusted.authorities.verify_server_cert(end, between, name, ocsp, now) {
            // The name is looked at last, when all else is proven.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.by_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
