// The pages that a person sees, plain enough for a headless browser: each says what it is in `data-page`.
const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

export const page = (name, title, body) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title></head>
<body data-page="${name}"><main><h1>${escaped(title)}</h1>
${body}
</main></body></html>`;

export const login = (uid, hint) =>
  page(
    "login",
    "Sign in",
    `<form method="post" action="/interaction/${uid}/login">
<label>User <input name="user" required value="${escaped(hint ?? "")}"></label>
<button id="login" type="submit">Sign in</button></form>
<form method="post" action="/interaction/${uid}/deny"><button id="cancel" type="submit">Cancel</button></form>`,
  );

export const consent = (uid, client, user, scopes) =>
  page(
    "consent",
    `${client} asks for access`,
    `<p>Signed in as <b id="user">${escaped(user)}</b></p>
<form method="post" action="/interaction/${uid}/allow">
${scopes.map((s) => `<label><input type="checkbox" name="scope" value="${escaped(s)}" checked> ${escaped(s)}</label>`).join("\n")}
<button id="allow" type="submit">Allow</button></form>
<form method="post" action="/interaction/${uid}/deny"><button id="deny" type="submit">Deny</button></form>`,
  );

/** oidc-provider brings the form; the buttons stand outside of it. */
export const deviceCode = (form, message) =>
  page("device-code", "Connect a device", `<p>${escaped(message)}</p>${form}<button id="continue" type="submit" form="op.deviceInputForm">Continue</button>`);

export const deviceConfirm = (form, client, code) =>
  page(
    "device-confirm",
    "Confirm the device",
    `<p>${escaped(client)} shows <code id="code">${escaped(code)}</code></p>${form}
<button id="continue" type="submit" form="op.deviceConfirmForm">Continue</button>
<button id="abort" type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Abort</button>`,
  );

export const deviceDone = () => page("device-done", "Device connected", "<p>You can close this page.</p>");

export const failed = (out) =>
  page("error", "The provider refuses", Object.entries(out).map(([k, v]) => `<p><b>${escaped(k)}</b>: <span id="${escaped(k)}">${escaped(v)}</span></p>`).join("\n"));
