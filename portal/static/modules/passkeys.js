// Passkeys: the browser makes or uses one, and the form sends its answer. The server says what is asked for.
const ask = {
  create: (options) =>
    navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  get: (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
};
const isSupported = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const answer = form.querySelector("[data-answer]");
  const show = (name) => {
    for (const notice of form.querySelectorAll("[data-problem]")) notice.hidden = notice.dataset.problem !== name;
  };
  show(isSupported ? "" : "unsupported");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!isSupported) return;
    show("");
    try {
      const credential = await ask[form.dataset.passkey](JSON.parse(form.dataset.options));
      answer.value = JSON.stringify(credential);
      form.submit();
    } catch (error) {
      // The person pressed Cancel, waited too long, or has no passkey there; an authenticator that has one makes none.
      show(error.name === "InvalidStateError" ? "known" : "failed");
    }
  });
}
