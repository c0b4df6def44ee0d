"""Images of folders and tars: headers, sizes, crops, augmentation, and the DALI pipeline that cuts them out."""
