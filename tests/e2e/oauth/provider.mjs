// OAuth2 / OpenID provider for tests, on loopback only (npm: oidc-provider).
//   device authorization grant, authorization code with PKCE, refresh token rotation with reuse detection,
//   introspection, revocation; everything in memory; any password is accepted.
// Environment: OAUTH_PORT, OAUTH_ISSUER, OAUTH_ACCESS_TTL and OAUTH_DEVICE_TTL (seconds),
// OAUTH_RS_SECRET (of the introspecting client), OAUTH_REDIRECT (of the page). Prints "listening ISSUER" when ready.
// Started by ../oauth.py.
import { webcrypto } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

// Debian 12 has Node.js 18; oidc-provider wants a newer one, for these.
globalThis.crypto ??= webcrypto;
URL.parse ??= (url, base) => { try { return new URL(url, base); } catch { return null; } };

const port = Number(process.env.OAUTH_PORT ?? 9400);
// Where it is reached: through the front that the tests put before it.
const issuer = process.env.OAUTH_ISSUER ?? `http://127.0.0.1:${port}`;
const accessTtl = Number(process.env.OAUTH_ACCESS_TTL ?? 300); // seconds
const deviceTtl = Number(process.env.OAUTH_DEVICE_TTL ?? 120);
const rsSecret = process.env.OAUTH_RS_SECRET ?? 'rs-test-secret';

const provider = new Provider(issuer, {
  clients: [
    { // the program under test: a public client (RFC 8628), as mail programs are
      client_id: 'mail-bridge',
      client_name: 'Mail bridge',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    },
    { // the same with a client secret, as some providers demand
      client_id: 'mail-bridge-secret',
      client_secret: 'bridge-test-secret',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    },
    { // the gateway with a page of its own: the authorization code flow, with PKCE
      client_id: 'mail-bridge-page',
      client_name: 'Mail bridge',
      client_secret: 'bridge-test-secret',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['authorization_code', 'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      redirect_uris: [process.env.OAUTH_REDIRECT ?? 'https://localhost/callback'],
    },
    { // the resource server (IMAP): may only introspect
      client_id: 'imap-server',
      client_secret: rsSecret,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: [],
      response_types: [],
      redirect_uris: [],
    },
  ],
  scopes: ['openid', 'offline_access', 'email', 'imap'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  pkce: { required: () => true },
  features: {
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true }, // plain login and consent forms
  },
  ttl: {
    AccessToken: accessTtl, DeviceCode: deviceTtl, RefreshToken: 86400,
    Grant: 86400, Session: 86400, Interaction: 600, IdToken: 300,
  },
  rotateRefreshToken: true, // a used refresh token is dead; using it again kills the grant
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: () => false,
  extraTokenClaims: (ctx, token) => ({ username: token.accountId }), // shows up in introspection
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: true }),
  }),
  cookies: { keys: ['test-only'] },
});

for (const ev of ['server_error', 'grant.error', 'introspection.error', 'device_authorization.error']) {
  provider.on(ev, (ctx, err) => console.error(`${ev}: ${err.message} ${err.error_description ?? ''}`));
}
provider.on('grant.success', (ctx) => console.error(`grant.success ${ctx.oidc.params.grant_type}`));

const server = createServer(provider.callback());
server.listen(port, "127.0.0.1", () => console.log(`listening ${issuer}`));
for (const sig of ['SIGTERM', 'SIGINT']) {
  process.on(sig, () => { server.close(); server.closeAllConnections(); });
}
