// Tells the browser which passkeys the account still has, and the name it goes by (WebAuthn Level 3 §5.1.10, signal
// methods), so that it stops offering what would not work. Browsers without these methods lose nothing.

const told = document.querySelector("[data-rp]")?.dataset ?? {};

async function signal(name, facts) {
  try {
    await PublicKeyCredential?.[name]?.({ rpId: told.rp, ...facts });
  } catch {
    // Advice to the browser; nobody waits for it.
  }
}

if (typeof PublicKeyCredential === "function") {
  if (told.unknown) await signal("signalUnknownCredential", { credentialId: told.unknown });
  if (told.user) {
    await signal("signalAllAcceptedCredentials", {
      userId: told.user,
      allAcceptedCredentialIds: told.accepted.split(" ").filter(Boolean),
    });
    await signal("signalCurrentUserDetails", { userId: told.user, name: told.login, displayName: told.name });
  }
}
