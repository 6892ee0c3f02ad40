// An OpenID Connect issuer for tests: node openid_provider.mjs FOLDER. FOLDER is that of the npm package.
// Each line of standard input has settings as JSON: the issuer begins anew with them, at the same address.

console.warn = console.info = console.error; // standard output is for answers

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/lib/index.js`));
const people = {
  ada: { preferred_username: "ada", name: "Ada <b>L.</b>", groups: ["pacs-viewers"] },
  mary: { preferred_username: "mary", name: "Mary", groups: ["pacs-viewers"], sees: ["staff", "st-marys"] },
  lost: { preferred_username: "lost", name: "Lost", groups: ["pacs-viewers"], sees: ["institution=Holy Cross"] },
  eve: { preferred_username: "local", name: "Eve", groups: ["pacs-viewers"] },
  nobody: { preferred_username: "nobody", name: "Nobody", groups: [] },
};
let settings, issuer, provider;

function begun() {
  provider = new Provider(issuer, {
    jwks: settings.jwks,
    clients: [
      {
        client_id: "archive",
        token_endpoint_auth_method: "none",
        redirect_uris: settings.redirects,
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
      {
        client_id: "research",
        client_secret: "secret",
        redirect_uris: [],
        response_types: [],
        grant_types: ["client_credentials"],
      },
    ],
    claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups", "sees"] },
    findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, ...people[id] }) }),
    conformIdTokenClaims: settings.userinfo,
    pkce: { required: () => true },
    cookies: { keys: ["a key of tests"] },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "archive.see archive.store archive.delete",
          audience: resource,
          accessTokenTTL: 300,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    loadExistingGrant: async (context) => {
      const grant = new context.oidc.provider.Grant({
        clientId: context.oidc.client.clientId,
        accountId: context.oidc.session.accountId,
      });
      grant.addOIDCScope("openid profile");
      await grant.save();
      return grant;
    },
  });
}

const asked = {};
createInterface({ input: process.stdin }).on("line", (line) => {
  const first = !settings;
  settings = { ...settings, ...JSON.parse(line) };
  if (!first) {
    begun();
    console.log("changed");
    return;
  }
  const listener = createServer((request, response) => {
    const path = request.url.split("?")[0];
    if (path === "/asked") {
      response.end(JSON.stringify(asked));
      return;
    }
    asked[path] = (asked[path] ?? 0) + 1;
    provider.callback()(request, response);
  });
  listener.listen(0, "127.0.0.1", () => {
    issuer = `http://localhost:${listener.address().port}`;
    begun();
    console.log(issuer);
  });
}).on("close", () => process.exit(0));
