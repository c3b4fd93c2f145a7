// The preview for the sample person is in the language in which somebody writes.
document.getElementById("editor").addEventListener("focusin", ({ target }) => {
  const language = document.querySelector('input[name="language"][form="editor"]');
  const [isWords, code] = /^(?:subject|body)(?:_(\w+))?$/.exec(target.name) ?? [];
  if (language && isWords) language.value = code ?? "en";
});
