use std::{pin::Pin, time::Duration};

use rustls::ClientConfig;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    CancelToken, Client, Config, NoTls, Row, RowStream,
    config::{ChannelBinding, SslMode as Asked},
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    failed::{self, Where},
    reach::{Reach, Roots},
};
use crate::{
    clients::tls::{self, Proof},
    event::Failure,
    site::{Endpoint, Secret, SslMode},
};

/// Longer than any network needs; shorter than an operator's patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Silence after which the network is asked whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_mins(1);
/// How long a session may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A session in one database. Dropped in the middle of a query, it has the server stop that query too: the server
/// would otherwise go on for nobody.
pub(super) struct Session {
    client: Option<Client>,
    talk: Option<JoinHandle<()>>,
    cancel: CancelToken,
    tls: Option<MakeRustlsConnect>,
    at: Where,
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(talk) = self.talk.take() else { return };
        self.client = None;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (cancel, tls) = (self.cancel.clone(), self.tls.take());
            runtime.spawn(async move {
                let asked = timeout(PATIENCE, async {
                    match tls {
                        Some(tls) => cancel.cancel_query(tls).await,
                        None => cancel.cancel_query(NoTls).await,
                    }
                });
                let _best_effort = asked.await;
                let _ended = timeout(GOODBYE, talk).await;
            });
        }
    }
}

impl Session {
    pub(super) async fn open(
        reach: &Reach,
        endpoint: &Endpoint,
        database: &str,
        password: Option<&Secret>,
    ) -> Result<Self, Failure> {
        let at = Where::new(reach, endpoint, database);
        let mut last = None;
        for attempt in attempts(endpoint.ssl) {
            match Self::attempt(reach, endpoint, password, *attempt, &at).await {
                Ok(session) => return Ok(session),
                // Where libpq would try again in another way, so do we; a server that is not there, or a wrong
                // password, is the same in every way.
                Err(failure) if ["tls_refused", "database_denied"].contains(&failure.code.as_str()) => {
                    last = Some(last.unwrap_or(failure));
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.unwrap_or_else(|| at.unreachable("no way to connect is known")))
    }

    async fn attempt(
        reach: &Reach,
        endpoint: &Endpoint,
        password: Option<&Secret>,
        (asked, proof): (Asked, Proof),
        at: &Where,
    ) -> Result<Self, Failure> {
        let mut config = Config::new();
        config
            .host(&reach.host)
            .port(reach.port)
            .user(&endpoint.user)
            .dbname(&at.database)
            .application_name("uplift")
            .connect_timeout(PATIENCE)
            // A session that waits for a long dump must not be forgotten by what stands between.
            .keepalives_idle(KEEPALIVE)
            .ssl_mode(asked)
            .channel_binding(ChannelBinding::Prefer);
        if let Some(address) = reach.address {
            config.hostaddr(address);
        }
        if let Some(password) = password {
            config.password(password.reveal());
        }
        let tls = if asked == Asked::Disable { None } else { Some(connector(reach, proof, at)?) };
        let opened = timeout(PATIENCE, async {
            // The two kinds of connection are two types.
            Ok(if let Some(tls) = &tls {
                let (client, connection) = config.connect(tls.clone()).await?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            } else {
                let (client, connection) = config.connect(NoTls).await?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            })
        });
        let opened = opened.await.map_err(|_| at.unreachable("nothing within 10 s"))?;
        let (client, talk) = opened.map_err(|error| failed::connecting(at, &error))?;
        let cancel = client.cancel_token();
        Ok(Self { client: Some(client), talk: Some(talk), cancel, tls, at: at.clone() })
    }

    fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or_else(|| self.at.unreachable("the session has ended"))
    }

    pub(super) async fn rows(
        &self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let rows = self.client()?.query(query, parameters).await;
        rows.map_err(|error| failed::asking(&self.at, &error))
    }

    /// Rows as they come, for more of them than should be in memory.
    pub(super) async fn stream(&self, query: &str) -> Result<Pin<Box<RowStream>>, Failure> {
        let rows = self.client()?.query_raw(query, std::iter::empty::<&(dyn ToSql + Sync)>()).await;
        rows.map(Box::pin).map_err(|error| self.asking(&error))
    }

    /// Why a question of this session failed.
    pub(super) fn asking(&self, error: &tokio_postgres::Error) -> Failure {
        failed::asking(&self.at, error)
    }

    pub(super) async fn row(&self, query: &str) -> Result<Row, Failure> {
        let row = self.client()?.query_one(query, &[]).await;
        row.map_err(|error| failed::asking(&self.at, &error))
    }

    /// Several statements in one message; gives the columns of the last row, as text.
    pub(super) async fn simple(&self, statements: &str) -> Result<Vec<String>, Failure> {
        use tokio_postgres::SimpleQueryMessage::Row;
        let answers = self.client()?.simple_query(statements).await;
        let answers = answers.map_err(|error| failed::asking(&self.at, &error))?;
        let rows = answers.iter().filter_map(|answer| if let Row(row) = answer { Some(row) } else { None });
        let Some(row) = rows.last() else { return Ok(Vec::new()) };
        Ok((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
    }

    /// A column of a row that has it.
    pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
        &self,
        row: &'a Row,
        at: usize,
    ) -> Result<T, Failure> {
        row.try_get(at).map_err(|error| failed::asking(&self.at, &error))
    }

    /// Ends it in order: when this returns the server has seen it go.
    pub(super) async fn close(mut self) {
        self.client = None;
        if let Some(talk) = self.talk.take() {
            let _ended = timeout(GOODBYE, talk).await;
        }
    }
}

/// libpq's six words: what is asked for, what it must prove, and what is tried when that fails.
fn attempts(mode: SslMode) -> &'static [(Asked, Proof)] {
    const PLAIN: (Asked, Proof) = (Asked::Disable, Proof::Nothing);
    const ENCRYPTED: (Asked, Proof) = (Asked::Require, Proof::Nothing);
    match mode {
        SslMode::Disable => &[PLAIN],
        SslMode::Allow => &[PLAIN, ENCRYPTED],
        SslMode::Prefer => &[(Asked::Prefer, Proof::Nothing), PLAIN],
        SslMode::Require => &[ENCRYPTED],
        SslMode::VerifyCa => &[(Asked::Require, Proof::Authority)],
        SslMode::VerifyFull => &[(Asked::Require, Proof::Name)],
    }
}

fn connector(reach: &Reach, proof: Proof, at: &Where) -> Result<MakeRustlsConnect, Failure> {
    let roots = reach.roots.as_ref().map(Roots::for_tls);
    let config: ClientConfig = tls::config(proof, roots).map_err(|error| at.untrusted(&error))?;
    Ok(MakeRustlsConnect::new(config))
}
