// Passkeys: what a server sends and expects as JSON (WebAuthn Level 3 §5.1.9–10), to and from the browser's own forms.
// Browsers without parse…FromJSON and toJSON get the same by hand.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const listed = (all) => (all ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

function creation(options) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const user = { ...options.user, id: bytes(options.user.id) };
  const { extensions: _, ...rest } = options;
  return { ...rest, user, challenge: bytes(options.challenge), excludeCredentials: listed(options.excludeCredentials) };
}

function request(options) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const { extensions: _, ...rest } = options;
  return { ...rest, challenge: bytes(options.challenge), allowCredentials: listed(options.allowCredentials) };
}

function plain(credential) {
  if (credential.toJSON) return credential.toJSON();
  const { response } = credential;
  const found = { clientDataJSON: text(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) found[name] = text(response[name]);
  }
  if (response.getTransports) found.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response: found,
    clientExtensionResults: credential.getClientExtensionResults(),
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
  };
}

export const supported = () => typeof PublicKeyCredential === "function" && Boolean(navigator.credentials);

export async function able(what) {
  if (!supported()) return false;
  if (PublicKeyCredential.getClientCapabilities) {
    const known = await PublicKeyCredential.getClientCapabilities();
    if (what in known) return known[what];
  }
  return what === "conditionalGet" ? Boolean(await PublicKeyCredential.isConditionalMediationAvailable?.()) : false;
}

export async function use(options, more = {}) {
  return plain(await navigator.credentials.get({ publicKey: request(options), ...more }));
}

export async function make(options, more = {}) {
  return plain(await navigator.credentials.create({ publicKey: creation(options), ...more }));
}
