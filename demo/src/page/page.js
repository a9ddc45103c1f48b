// Shows the present state without a reload; what is not answered stays as it was.
setInterval(async () => {
  try {
    const answer = await fetch("/view");
    if (answer.ok) document.getElementById("view").innerHTML = await answer.text();
  } catch { /* the demo has ended */ }
}, 1000);
