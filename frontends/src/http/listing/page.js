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
    let body = file;
    if (/#[^/]*:$/.test(file.name)) {
      // As a path that name would lead into an archive; a form's names are names.
      request.open('POST', '.');
      body = new FormData();
      if (form.replace.checked) body.append('replace', 'yes');
      body.append('file', file);
    } else {
      request.open('PUT', encodeURIComponent(file.name));
      if (!form.replace.checked) request.setRequestHeader('If-None-Match', '*');
    }
    request.upload.onprogress = (event) => moved(event.loaded);
    request.onloadend = () => done(request);
    request.send(body);
  });
  const why = (request) => {
    if (request.status === 412) return 'a file of that name is there';
    return request.responseText.trim().split('\n').pop() || 'the connection was lost';
  };
  // What is dropped while something is sent waits for its turn.
  const waiting = [];
  let failed = [], all = 0, sent = 0, busy = false;
  addEventListener('beforeunload', (event) => { if (busy) event.preventDefault(); });
  const upload = async (files) => {
    waiting.push(...files);
    all += files.reduce((sum, file) => sum + file.size, 0);
    if (busy) return;
    busy = true;
    bar.hidden = false;
    while (waiting.length) {
      const file = waiting.shift();
      says.textContent = file.name;
      const request = await put(file, (loaded) => { bar.value = (sent + loaded) / (all || 1); });
      sent += file.size;
      if (request.status < 200 || request.status > 299) failed.push(`${file.name}: ${why(request)}`);
    }
    busy = false;
    bar.hidden = true;
    if (failed.length) says.textContent = failed.join(' · ');
    else location.reload();
    failed = [];
    all = sent = 0;
  };
  // The files among what was dropped; of a folder a script gets a name and no bytes.
  const dropped = (transfer) => [...transfer.items].flatMap((item) => {
    if (item.webkitGetAsEntry()?.isDirectory) {
      failed.push(`${item.webkitGetAsEntry().name}: folders are not taken, drop the files in it`);
      return [];
    }
    return item.getAsFile() ?? [];
  });
  form.addEventListener('submit', (event) => {
    if (!form.file.files.length) return;
    event.preventDefault();
    upload([...form.file.files]);
  });
  for (const type of ['dragover', 'dragleave', 'drop']) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      form.classList.toggle('over', type === 'dragover');
      if (type === 'drop' && event.dataTransfer.files.length) upload(dropped(event.dataTransfer));
    });
  }
})();
