// node idp.mjs PORT FORMAT AUDIENCE: a real OIDC provider (npm oidc-provider) with a fresh key that gives tokens by
// client credentials, as JWTs (RFC 9068) or opaque. Says "ready" when it listens.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const [, , port, format, audience] = process.argv;
const jwk = { ...generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' }), kid: `k${Date.now()}`, use: 'sig', alg: 'ES384' };
const client = (id) => ({ client_id: id, client_secret: 'secret', redirect_uris: ['https://app.example/cb'], response_types: ['code'], grant_types: ['authorization_code', 'client_credentials'] });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [jwk] },
  clients: [client('app'), client('galen')],
  clientDefaults: { id_token_signed_response_alg: 'ES384' },
  enabledJWA: { idTokenSigningAlgValues: ['ES384'] },
  scopes: ['system/Patient.rs'],
  extraTokenClaims: () => ({ roles: ['doctor'] }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope: 'system/Patient.rs', audience, accessTokenTTL: 240, accessTokenFormat: format, jwt: { sign: { alg: 'ES384' } } }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
