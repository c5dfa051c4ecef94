// Figures with several panels stay legible on a phone: they are scrolled instead of shrunk.
for (const image of document.querySelectorAll("article p > img, img.sphx-glr-single-img")) {
  const frame = document.createElement("div");
  frame.className = "scrolled";
  image.replaceWith(frame);
  frame.append(image);
}
