(() => {
  const find = (what) => document.querySelector(what);
  const box = find('#q');
  box.addEventListener('input', () => {
    const text = box.value.toLowerCase();
    for (const row of document.querySelectorAll('pre>span')) {
      row.hidden = !row.firstChild.textContent.toLowerCase().includes(text);
    }
  });
  const form = find('#up');
  if (!form) return;
  const bar = find('progress'), says = find('output');
  const put = (file, moved) => new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open('PUT', encodeURIComponent(file.name));
    if (!form.replace.checked) request.setRequestHeader('If-None-Match', '*');
    request.upload.onprogress = (event) => moved(event.loaded);
    request.onloadend = () => done(request);
    request.send(file);
  });
  const why = (request) => {
    if (request.status === 412) return 'a file of that name is there';
    return request.responseText.trim().split('\n').pop() || 'the connection was lost';
  };
  const upload = async (files) => {
    const all = files.reduce((sum, file) => sum + file.size, 0) || 1;
    const failed = [];
    let sent = 0;
    bar.hidden = false;
    for (const file of files) {
      says.textContent = file.name;
      const request = await put(file, (loaded) => { bar.value = (sent + loaded) / all; });
      sent += file.size;
      if (request.status < 200 || request.status > 299) failed.push(`${file.name}: ${why(request)}`);
    }
    bar.hidden = true;
    if (failed.length) says.textContent = failed.join(' · ');
    else location.reload();
  };
  form.addEventListener('submit', (event) => {
    if (!form.file.files.length) return;
    event.preventDefault();
    upload([...form.file.files]);
  });
  for (const type of ['dragover', 'dragleave', 'drop']) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      form.classList.toggle('over', type === 'dragover');
      if (type === 'drop' && event.dataTransfer.files.length) upload([...event.dataTransfer.files]);
    });
  }
})();
