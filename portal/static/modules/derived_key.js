// The key of a new template follows its name until somebody writes another key.
const name = document.getElementById("field-name");
const key = document.getElementById("field-key");
let isOwn = Boolean(key?.value);

key?.addEventListener("input", () => { isOwn = key.value !== ""; });
name?.addEventListener("input", () => {
  if (isOwn || !key) return;
  const plain = name.value.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  key.value = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, Number(key.maxLength));
});
