// The key of something new follows its name until somebody writes another key.
const key = document.getElementById("field-key");
const name = document.getElementById(key?.dataset.derivedFrom ?? "field-name");
const separator = key?.dataset.separator ?? "-";
let isOwn = Boolean(key?.value);

key?.addEventListener("input", () => { isOwn = key.value !== ""; });
name?.addEventListener("input", () => {
  if (isOwn || !key) return;
  const plain = name.value.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const words = plain.split(/[^a-z0-9]+/).filter(Boolean);
  key.value = words.join(separator).slice(0, Number(key.maxLength));
});
