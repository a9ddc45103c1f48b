// Shows a mail that has come; whoever reads is not disturbed otherwise.
const shown = document.body.dataset.latest;
setInterval(async () => {
  try {
    const answer = await fetch("/mail/latest");
    if (answer.ok && (await answer.text()) !== shown) location.reload();
  } catch { /* the demo has ended */ }
}, 2000);
