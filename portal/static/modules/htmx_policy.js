// The only HTML that becomes part of a page is what htmx has fetched from the portal, and none of it may hold code. This
// module keeps its policy of Trusted Types to itself, so no other script can make HTML of a string. htmx can evaluate
// nothing: neither hx-on, nor js: values, nor filters of triggers.
const policy = window.trustedTypes?.createPolicy("htmx-fragment", { createHTML: (text) => text });
const codeElements = "script, iframe[srcdoc], object, embed, base, meta[http-equiv]";
const codeAttribute = /^(?:on|srcdoc$|(?:data-)?hx-on)/i;
const addressAttribute = /^(?:href|src|action|formaction|xlink:href|(?:data-)?hx-.+)$/i;
const codeAddress = /^[\s\0-\x1f]*(?:js|javascript|vbscript|data):/i;

function holdsCode(root) {
  const isCode = ({ name, value }) => codeAttribute.test(name) || (addressAttribute.test(name) && codeAddress.test(value));
  return root.querySelector(codeElements) !== null
    || [...root.querySelectorAll("*")].some((element) => [...element.attributes].some(isCode)
      || (element.localName === "template" && holdsCode(element.content)));
}

// A document of DOMParser is inert: nothing in it runs or loads. Of the head of a whole page, htmx reads the title only.
function createHTML(text) {
  const html = policy?.createHTML(text) ?? text;
  const isHead = /^<head[\s>]/i.test(text);
  if (!isHead && holdsCode(new DOMParser().parseFromString(html, "text/html"))) throw new TypeError("A fragment holds code.");
  return html;
}

function refuse() {
  throw new TypeError("htmx evaluates no code here.");
}

window.htmx?.registerExtension("portal-policy", {
  init: (api) => api.initSecurity({ createHTML, createScript: refuse }, refuse, refuse),
});
