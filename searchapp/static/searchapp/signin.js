// Sends the one-time link's form at once; its button stays for browsers without scripts.
document.querySelector("form[data-signin]").requestSubmit();
